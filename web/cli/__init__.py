"""The command line: data on standard output, talk on standard error."""

import click

from web.cli import asking, calibrating, documents, ingesting, receipts, tuning, upkeep


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="footnote", prog_name="footnote")
def main() -> None:
    """Answer questions from your own documents, each sentence footnoted to the words it rests on.

    Settings (see the README) are FOOTNOTE_<NAME>, or in footnote.toml.
    """


for command in (
    ingesting.ingest,
    asking.ask,
    asking.search,
    asking.serve,
    documents.documents,
    receipts.receipts,
    calibrating.calibrate_command,
    upkeep.rollback,
    upkeep.doctor,
    tuning.tune,
):
    main.add_command(command)
