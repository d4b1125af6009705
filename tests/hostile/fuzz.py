"""`make fuzz`: hundreds of thousands of nearly right texts for every reader; what breaks one is kept in `corpus/`.

    python -m tests.hostile.fuzz [--cases N] [--seed N] [--only READER]

`guided.py` does the same for one reader with atheris, which chooses texts by the lines that they reach.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator

from tests.hostile.mutations import CHANGES, MOST_TEXT, ODD, corpus, edit_text, edit_values
from tests.hostile.readers import CORPUS, READERS, Reader
from tests.hostile.test_readers import NeverEnds, in_time

KINDS = ("insert", "insert", "delete", "replace", "repeat", "splice")
SECONDS = 1.0
"""Of CPU for one reader at a time. Those that are fast get more cases, but no more than twice their share."""


def made_texts(name: str, reader: Reader, chance: random.Random) -> Iterator[str]:
    """Without end."""
    seeds = [*reader.seeds, *corpus(name), ""]
    while True:
        if reader.is_json and chance.random() < 0.4:
            changes = [
                (chance.randrange(200), chance.choice(CHANGES), chance.choice(ODD)) for _ in range(chance.randint(1, 4))
            ]
            yield edit_values(chance.choice(reader.seeds), changes)
            continue
        text = chance.choice(seeds) if chance.random() < 0.8 else "".join(chance.choices(reader.pieces, k=25))
        numbers = (chance.randrange(MOST_TEXT) for _ in range(15))
        count = chance.randint(0, 5)
        edits = [
            (chance.choice(KINDS), next(numbers), next(numbers), next(numbers), chance.choice(reader.pieces))
            for _ in range(count)
        ]
        yield edit_text(text, edits)


def fault_of(reader: Reader, text: str) -> str:
    """What is wrong with how it is read, "" if nothing is."""
    try:
        with in_time():
            reader.check(text)
    except NeverEnds:
        return "takes too long"
    except Exception as error:  # noqa: BLE001  whatever comes is what is looked for
        return type(error).__name__
    return ""


def shortened(reader: Reader, text: str, fault: str) -> str:
    """The part of `text` that is left when pieces are taken out as long as the fault stays."""
    size = len(text) // 2
    while size:
        start = 0
        while start < len(text):
            shorter = text[:start] + text[start + size :]
            if fault_of(reader, shorter) == fault:
                text = shorter
            else:
                start += size
        size //= 2
    return text


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def keep(name: str, text: str, fault: str) -> None:
    """Put it into the corpus, where `test_readers.py` reads it for ever."""
    text = shortened(READERS[name], text, fault)
    content = text.encode(errors="surrogatepass")
    folder = CORPUS / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(content).hexdigest()[:12]).write_bytes(content)
    say(f"{name}: {fault}: {text!r:.300}")


def run_one(task: tuple[str, int, int]) -> tuple[str, int, int, float]:
    """So many cases of one reader; how many there were, how many were wrong, and the seconds of CPU."""
    name, seed, cases = task
    reader = READERS[name]
    began = time.process_time()
    number, found = 0, set[str]()
    for text in made_texts(name, reader, random.Random(seed)):
        if number == cases or time.process_time() - began > SECONDS:
            break
        number += 1
        fault = fault_of(reader, text)
        if fault and fault not in found:
            found.add(fault)
            keep(name, text, fault)
    return name, number, len(found), time.process_time() - began


def run(cases: int, seed: int, names: list[str]) -> int:
    """Every reader in turn until there were `cases` together. 1 if one of them is wrong."""
    began = time.monotonic()
    done, spent = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0)
    faults = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        while sum(done.values()) < cases:
            seed += 1
            most = 2 * cases // len(names)
            tasks = [(name, seed, most - done[name]) for name in names if done[name] < most]
            for name, number, wrong, seconds in pool.imap_unordered(run_one, tasks):
                done[name] += number
                spent[name] += seconds
                faults += wrong
    for name in sorted(names, key=lambda one: done[one]):
        say(f"{name:20} {done[name]:8,} cases {spent[name]:7.1f} s of CPU")
    say(
        f"{sum(done.values()):,} cases, {faults} faults, {sum(spent.values()):.0f} s of CPU, {time.monotonic() - began:.0f} s"
    )
    return int(faults > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz")
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", choices=list(READERS))
    given = parser.parse_args()
    say(f"--seed {given.seed}")
    sys.exit(run(given.cases, given.seed, [given.only] if given.only else list(READERS)))
