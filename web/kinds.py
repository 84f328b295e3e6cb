"""What the formats that are read are called: by people, and by the end of a file's name."""

from ingest.readers import BY_MEDIA_TYPE, BY_SUFFIX

NAMES = {
    "application/pdf": "PDF",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel",
    "application/vnd.oasis.opendocument.text": "OpenDocument text",
    "application/vnd.oasis.opendocument.text-template": "OpenDocument template",
    "application/vnd.oasis.opendocument.spreadsheet": "OpenDocument spreadsheet",
    "application/vnd.oasis.opendocument.presentation": "OpenDocument slides",
    "application/rtf": "Rich text",
    "text/csv": "Table (CSV)",
    "application/epub+zip": "Book (EPUB)",
    "application/vnd.ms-outlook": "Outlook message",
    "message/rfc822": "E-mail",
    "text/html": "Web page",
    "text/markdown": "Markdown",
    "text/x-rst": "reStructuredText",
    "text/asciidoc": "AsciiDoc",
    "application/jsonl": "Records (JSON Lines)",
    "text/plain": "Text",
}


def name_of(media_type: str) -> str:
    """Return what people call a format."""
    return NAMES.get(media_type, media_type)


def media_type_of(name: str) -> str:
    """Return the media type of a format that is given as such, or as “pdf”; ValueError if none."""
    if name in BY_MEDIA_TYPE:
        return name
    if form := BY_SUFFIX.get(f".{name.lower().removeprefix('.')}"):
        return form.media_type
    known = ", ".join(suffix.removeprefix(".") for suffix in BY_SUFFIX)
    raise ValueError(f"“{name}” is no type of document. Known: {known}")
