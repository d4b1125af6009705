"""Keeps the base images of CodeBuild builds in Amazon ECR.

    manifest -> desired -> root module -> terraform plan ─┐
                      └──> observed (HEAD only) ──────────┴─> plan -> terraform apply -> seed -> report

An image is one record on each floor, because each floor knows something else of it:

- `manifest.ImageSpec`: an entry of the manifest, with its defaults open; `manifest.Destination` is one tag of it.
- `plan.DesiredImage`: one tag with every default filled in.
- `plan.SourceImage` and `DestinationImage`: what upstream and ECR have; `StoredImage` is ECR's own record.
- `plan.Seed`: the decision for the tag, with the digest pinned. A reviewer sees it, and a saved plan holds it.
- `oci.CopyRequest`: what the copy engine is asked for. It knows no plan, and `toolkit copy` makes it without one.
- `seed.ImageCopy`: one copy in progress, the only record that changes.
- `report.SeedOutcome`: how it ended, in plain values.

`cli` parses and prints, `operations` are the use cases, `seed`, `terraform` and `aws` are the adapters, everything
below them is pure. A module imports only from layers below its own (`[tool.importlinter]` in `pyproject.toml`).
"""

__version__ = "0.1.0"
