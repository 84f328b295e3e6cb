"""HTML output: a complete plain page whose main content stands between a header and a footer."""

from html import escape

from scripts.corpus.blocks import markdown, parse_blocks
from scripts.corpus.source import Source

PAGE = """\
<!DOCTYPE html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="author" content="{author}">
<meta name="date" content="{date}">
<title>{title}</title>
<style>
body {{ max-width: 44rem; margin: 0 auto; padding: 1.5rem; color: #1c2430;
  font: 1rem/1.6 Helvetica, Arial, sans-serif; }}
h1, h2, a {{ color: #1f4e79; line-height: 1.25; }}
nav a {{ margin-right: 1.25rem; }}
.byline, footer {{ color: #5d6875; font-size: 0.9rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #c3ccd6; padding: 0.4rem; text-align: left;
  vertical-align: top; }}
th {{ background: #e9eff5; }}
</style>
</head>
<body>
<header>
<nav>
<a href="/">Home</a>
<a href="/documents">All documents</a>
<a href="/contact">Contact us</a>
</nav>
</header>
<main>
{body}\
</main>
<footer>
<p class="byline">{byline}</p>
<p>Back to the <a href="/">home page</a></p>
</footer>
</body>
</html>
"""


def render(source: Source) -> bytes:
    """Return the source as an HTML page in UTF-8."""
    parse_blocks(source.body)  # for its checks of the headings: the body's HTML comes from below
    page = PAGE.format(
        author=escape(source.author),
        date=source.dated.isoformat(),
        title=escape(source.title),
        byline=escape(source.byline),
        body=markdown().render(source.body),
    )
    return page.encode()
