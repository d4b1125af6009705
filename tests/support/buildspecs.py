"""Buildspecs as people write them, each with something of its own about it."""

from __future__ import annotations

USUAL = """\
version: 0.2   # of the format

env:
  variables: {A: "1"}

phases:
  install:
    runtime-versions:
      python: 3.12
    commands:
      - pip install tox
  # Before the build.
  pre_build:
    on-failure: ABORT
    commands:
      # the version
      - export VERSION=$(git describe)   # of the tag
      - |
        echo one
        # toolkit is nice
        echo two
  build:
    commands:
    - docker build -t app .


# the end
artifacts: {files: ['**/*']}
"""
SHAPES = {
    "usual": USUAL,
    "no commands": "version: 0.2\nphases:\n  pre_build:\n    finally:\n      - date\n  build:\n    commands: [make]\n",
    "no pre_build": "phases:\n    install:\n        commands: [a]\n\n    # why\n    build:\n        commands:\n        - make",
    "install only": "version: 0.2\nphases:\n  install:\n    commands:\n      - make\n",
    "same column": "phases:\n  pre_build:\n    commands:\n    - a\n    - b: c\n    -   d\n",
    "windows": "version: 0.2\r\nphases:\r\n  pre_build:\r\n    commands:\r\n      - make\r\n",
    "windows, marked": "\ufeffversion: 0.2\r\nphases:\r\n  build:\r\n    commands:\r\n      - make\r\n",
    "both line ends": "phases:\n  build:\n    commands:\r\n      - make\n      - |\r\n        a\r\n        b\n",
    "marked": "\ufeffphases:\n  pre_build:\n    commands:\n      - make\n",
    "a line end of others": "x: a\u2028b # \u2028\nphases:\n  pre_build:\n    commands:\n      - make\n",
    "anchors": "phases:\n  install: &x\n    commands: [a]\n  build: *x\n",
    "anchors in it": "phases:\n  pre_build: &x\n    commands:\n      - &y make\n      - *y\n",
    "merged": "x: &x {on-failure: ABORT}\nphases:\n  pre_build:\n    <<: *x\n    commands:\n      - a\n",
    "flow elsewhere": "version: 0.2\nphases:\n  build: {commands: [a, b]}\n",
    "text elsewhere": "phases:\n  build:\n    commands: |\n      a\n      b\n",
    "text in the list": "phases:\n  pre_build:\n    commands:\n      - |\n        a\n        # x\n      - >-\n        b\n",
    "dash alone": "phases:\n  pre_build:\n    commands:\n    -\n      a\n    - b\n",
    "no text": "phases:\n  pre_build:\n    commands:\n    - - a\n    - b: c\n    - 2023-09-09\n    - 3.10\n    -\n",
    "nothing but the step": "phases:\n  pre_build:\n    commands: # in ECR\n    # x\n\n  build:\n    commands: [a]\n",
    "nothing in the phase": "phases:\n  pre_build:\n  build:\n    commands: [a]\n",
    "quotes": "'version': '0.2'\n\"phases\":\n  'pre_build':\n    \"commands\":\n      - a\n",
    "version 0.20": "version: 0.20\nphases:\n  build:\n    commands:\n      - a",
    "a document's marks": "%YAML 1.1\n---\nphases:\n  build:\n    commands:\n      - yes\n...\n# behind\n",
    "indented": "   version: 0.2\n   phases:\n      build:\n         commands:\n         - a\n",
    "empty lines": "phases:\n\n  pre_build:\n\n    commands:\n\n\n      - a\n\n\n",
    "spaces at ends": "phases:  \n  pre_build:   \n    commands: \n      - a  \n  \n",
    "order of its own": "phases:\n  post_build:\n    commands:\n    - z\n  install:\n    commands:\n    - a\n",
    "comments": (
        "phases: # 1\n# 0\n    # 4\n  # 2\n  pre_build: # 2\n# 0\n    commands: # 3\n # 1\n\n      # 6\n        # 8\n"
        "      # 6\n      - a # 4\n      # 6\n# 0\n  build:\n    commands: [b]\n"
    ),
    "users and shells": (
        "version: 0.2\nrun-as: root\nenv:\n  shell: bash\n  exported-variables: [A]\nphases:\n  install:\n    run-as: x\n"
        "    runtime-versions: {docker: 20}\n  build:\n    on-failure: CONTINUE\n    commands:\n    - a\n"
    ),
    "a batch": "phases:\n  build:\n    commands:\n    - a\nbatch:\n  build-list:\n    - identifier: x\n      env: {shell: bash}\n",
}


def is_insertion(made: str, text: str) -> bool:
    """Whether `made` is `text` with something put in at one place."""
    return made != text and any(made.startswith(text[:at]) and made.endswith(text[at:]) for at in range(len(text) + 1))
