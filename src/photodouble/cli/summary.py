"""Results as short tables for a person; the same values go to a script as JSON."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from photodouble.cli.text import clean, duration, number, size, words

_STYLE = {True: "green", False: "yellow", None: ""}
ON_THE_WAY = ("metrics", "best", "history", "coverage")  # of a training: they are in the report and in --json
MAIN = 10  # of the report's figures, the first so many are shown here


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print what a stage ended with."""
    if "weights" in values:
        console.print(weights(values["weights"]))
    elif isinstance(values.get("consent"), list):
        console.print(records(values["consent"]))
    elif "verified" in values:
        console.print(verified(values["verified"]))
    elif "entries" in values:
        entries(values, console)
    elif "kind" in values and "digest" in values:
        facts(entry(values), console)
    elif "trusted" in values and "fingerprint" in values:
        keys(values, console)
    elif "verdict" in values:
        facts(inspection(values), console)
    else:
        facts(render(values, console), console)


def render(values: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """Print the quality table and the story of a render; return what is left of the values."""
    rest = {key: value for key, value in values.items() if value is not None}
    quality = rest.pop("quality", None)
    quality = rest.pop("qualities", quality)  # several renders side by side
    if isinstance(quality, Mapping) and quality:
        several = all(isinstance(item, Mapping) for item in quality.values())
        columns = quality if several else {str(rest.get("model", "result")): quality}
        console.print(quality_table(columns, str(rest.get("codec", "h264"))))
    told: dict[str, Any] = {}
    if "frames" in rest and "frames_with_face" in rest:
        frames, found = rest.pop("frames"), rest.pop("frames_with_face")
        told["frames"] = f"{number(frames)}, with a face: {number(found)}" + (
            f" ({100 * found / frames:.1f} %)" if frames else ""
        )
    if "seconds" in rest:
        seconds = rest.pop("seconds")
        spans = seconds.items() if isinstance(seconds, Mapping) else [("", seconds)]
        told["time"] = ", ".join(f"{name} {duration(span)}".strip() for name, span in spans)
    if isinstance(training := rest.get("training"), Mapping):
        rest["training"] = {key: value for key, value in training.items() if key not in ON_THE_WAY}
    return {**told, **{key: value for key, value in rest.items() if key not in ON_THE_WAY and value != {}}}


def quality_table(columns: Mapping[str, Mapping[str, Any]], codec: str) -> Group:
    """The main figures of one render, or of several side by side, and what they fall short of.

    Args:
        columns: a model's name -> its quality figures.
        codec: of the render; where it changes every pixel, the figure about untouched ones has no target.
    """
    from photodouble.stages.wording import shown, targets, verdict

    lines = {name: shown(figures, targets(name, codec)) for name, figures in columns.items()}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("quality", no_wrap=True)
    for name in columns:
        table.add_column(clean(name), justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for row in list(zip(*lines.values(), strict=True))[:MAIN]:
        cells = [Text(f"{line.value} !" if line.met is False else line.value, style=_STYLE[line.met]) for line in row]
        table.add_row(row[0].label, *cells, row[0].says.split(":")[0].rstrip("."))
    verdicts = [Text(f"{name}: {verdict(found)}", style="bold") for name, found in lines.items()]
    return Group(Text(""), table, Text(""), *verdicts, Text(""))


def facts(values: Mapping[str, Any], console: Console) -> None:
    """Print names and values, one line each; lines are never broken, so that a path can be copied."""
    names = {key: clean(key.replace("_", " ")) for key in values}
    width = max(map(len, names.values()), default=0)
    for key, value in values.items():
        line = Text.assemble((names[key].ljust(width), "bold"), "  ", clean(words(value)))
        console.print(line, soft_wrap=True)


def inspection(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was found in a file: the verdict first, then one line for each kind of mark."""
    manifest = values.get("manifest") or {}
    watermark = values.get("watermark") or {}
    told: dict[str, Any] = {"verdict": values["verdict"]}
    if manifest:
        told["manifest"] = manifest.get("state", "absent")
        told.update({key: value for key, value in manifest.items() if key != "state" and value not in (None, [], "")})
    if watermark:
        if watermark.get("detected") is None:
            told["watermark"] = watermark.get("note", "not looked for")
        else:
            told["watermark"] = "found" if watermark["detected"] else "not found"
        told.update({f"watermark_{key}": watermark[key] for key in ("identifier", "confidence") if watermark.get(key)})
    rest = {key: item for key, item in values.items() if key not in ("verdict", "manifest", "watermark")}
    return told | {key: item for key, item in rest.items() if item is not None}


def records(rows: Sequence[Mapping[str, Any]]) -> Group:
    """The consent records, and why one of them does not hold."""
    if not rows:
        return Group(Text("There is no consent record yet: add one with 'photodouble consent add'."))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in ("name", "basis", "reference", "expires", "holds"):
        table.add_column(column, no_wrap=column in ("basis", "expires", "holds"), overflow="fold")
    for row in rows:
        cells = [clean(words(row.get(key))) for key in ("name", "basis", "reference", "expires")]
        table.add_row(*cells, Text("yes", "green") if row["holds"] else Text("no", "bold red"))
    return Group(table, *(Text(clean(row["reason"])) for row in rows if row.get("reason")))


def verified(rows: Sequence[Mapping[str, Any]]) -> Group:
    """Whether each identity's records are as they were signed, what is wrong with them, and who signed."""
    if not rows:
        return records(())
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in ("name", "entries", "as signed", "holds", "signed by"):
        table.add_column(column, overflow="fold")
    for row in rows:
        marks = [Text("yes", "green") if row[key] else Text("no", "bold red") for key in ("whole", "holds")]
        who = ", ".join(f"{signer['fingerprint'][:16]} ({signer['is']})" for signer in row["signed_by"])
        table.add_row(clean(row["name"]), number(row["entries"]), *marks, clean(who or "-"))
    told = [text for row in rows for text in (row["problems"] or [row["reason"]]) if text]
    return Group(table, *(Text(clean(text)) for text in told))


def entries(values: Mapping[str, Any], console: Console) -> None:
    """An identity's consent: whether it holds, and its entries, the newest last."""
    head = {key: values[key] for key in ("name", "file", "holds", "reason")}
    head["bound_to"] = ", ".join(values["pictures"]) or "nobody's face yet"
    facts({key: value for key, value in head.items() if value is not None}, console)
    for one in values["entries"]:
        console.print()
        facts(entry({key: value for key, value in one.items() if key != "name"}), console)


def entry(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a consent record's entry says, without what is empty; pictures by their names."""
    told = {key: value for key, value in values.items() if value not in (None, [])}
    if "pictures" in told:
        told["pictures"] = ", ".join(picture["file"] for picture in told["pictures"])
    return told


def keys(values: Mapping[str, Any], console: Console) -> None:
    """This user's key, and whom this user trusts."""
    facts({key: values[key] for key in ("key", "fingerprint")}, console)
    if not values["trusted"]:
        console.print("No key is listed as trusted: every valid signature is accepted, and 'verify' tells whose it is.")
    for row in values["trusted"]:
        console.print(Text(f"trusted  {row['key']}  {clean(row['name'])}"), soft_wrap=True)


def weights(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The third-party model files and whether they are here; one person's demo pictures share a row."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("package, licence, origin")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    before = ""
    for name, group in itertools.groupby(rows, key=_group):
        files = list(group)
        first = files[0]
        origin = f"{first['package']} {first['version']}\n{first['licence']}; {first['origin']}"
        here = sum(bool(row["cached"]) for row in files)
        state = f"{here} of {len(files)}" if len(files) > 1 else ("yes" if here else "no")
        told = "as above" if origin == before else "\n".join(clean(line) for line in origin.split("\n"))
        table.add_row(clean(name), told, size(sum(row["size"] for row in files)), state)
        before = origin
    return table


def _group(row: Mapping[str, Any]) -> str:
    person, _, kind = str(row["name"]).rpartition("_")
    return f"{person}_..." if person.startswith("person_") and kind else str(row["name"])
