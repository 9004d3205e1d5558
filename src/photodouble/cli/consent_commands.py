"""`photodouble consent`: records, withdrawals and keys."""

import typer

from photodouble.cli import options as o
from photodouble.cli.output import HERE, answer, examples, help_if_alone
from photodouble.errors import Refused

consent = typer.Typer(help="Record who allowed the use of a face, and on what ground.")
consent.callback(invoke_without_command=True)(help_if_alone)


@consent.command(
    "add",
    cls=o.ManyPictures,
    epilog=examples(
        "photodouble consent add ada --basis release --reference 'contract 12' \\\n"
        "      --document release.pdf --expires 2030-12-31 --picture ada/*.jpg",
    ),
)
def consent_add(
    name: o.Name,
    basis: o.RequiredBasis,
    reference: o.Reference,
    document: o.Document = None,
    scope: o.Scope = "",
    valid_from: o.ValidFrom = None,
    expires: o.Expires = None,
    production: o.Production = "",
    territory: o.Territory = "",
    media: o.Media = "",
    pictures: o.Pictures = None,
    document_sha256: o.DocumentHash = None,
    recorded_by: o.RecordedBy = None,
    key: o.ConsentKey = None,
    project: o.ProjectFolder = HERE,
    as_json: o.AsJson = False,
) -> None:
    """Record that a person allowed the use of their face, or why nobody has to."""
    from photodouble.stages import consent as stage

    values = stage.add(
        project,
        name,
        basis.value,
        reference,
        document,
        scope=scope,
        valid_from=valid_from.date() if valid_from else None,
        expires=expires.date() if expires else None,
        production=production,
        territory=territory,
        media=media,
        pictures=pictures or (),
        document_sha256=document_sha256,
        recorded_by=recorded_by,
        key=key,
    )
    answer(values, as_json)


@consent.command("list", cls=o.Command)
def consent_list(project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """List the project's consent records."""
    from photodouble.stages import consent as stage

    answer(stage.list_records(project), as_json)


@consent.command(
    "show", cls=o.Command, epilog=examples("photodouble consent show ada", "photodouble consent show 1f5c09ab")
)
def consent_show(what: o.NameOrDigest, project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """Show an identity's history, or the entry that an output's manifest names."""
    from photodouble.stages import consent as stage

    answer(stage.show(project, what), as_json)


@consent.command(
    "withdraw",
    cls=o.Command,
    epilog=examples("photodouble consent withdraw ada --reason 'letter of 3 May' --document letter.pdf"),
)
def consent_withdraw(
    name: o.Name,
    reason: o.Reason = "",
    document: o.Document = None,
    recorded_by: o.RecordedBy = None,
    key: o.ConsentKey = None,
    project: o.ProjectFolder = HERE,
    as_json: o.AsJson = False,
) -> None:
    """Record that a person withdrew: no more training, conversion or export."""
    from photodouble.stages import consent as stage

    values = stage.withdraw_record(project, name, reason, document=document, recorded_by=recorded_by, key=key)
    answer(values, as_json)


@consent.command(
    "verify", cls=o.Command, epilog=examples("photodouble consent verify", "photodouble consent verify ada --json")
)
def consent_verify(name: o.OptionalName = None, project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """Check signatures, the chain of entries and the documents; status 3 if one is not as recorded."""
    from photodouble.stages import consent as stage

    values = stage.verify_records(project, name)
    answer(values, as_json)
    if not all(row["whole"] for row in values["verified"]):
        raise typer.Exit(Refused.exit_status)


@consent.command(
    "keys",
    cls=o.Command,
    epilog=examples("photodouble consent keys", "photodouble consent keys --trust 5d0c…e7 --called 'Eva, legal'"),
)
def consent_keys(
    trust: o.Trust = None, called: o.Called = "", project: o.ProjectFolder = HERE, as_json: o.AsJson = False
) -> None:
    """Show the key that signs your records and whose keys you trust, or trust one more."""
    from photodouble.stages import consent as stage

    answer(stage.keys(trust, called), as_json)
