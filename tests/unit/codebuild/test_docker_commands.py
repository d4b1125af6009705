"""What shell text and buildspecs fetch and build."""

from __future__ import annotations

from os.path import normpath
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codebuild.build_fields import SBOM_SCANNER
from toolkit.codebuild.buildspec_reading import read_buildspec
from toolkit.codebuild.coverage import Builder
from toolkit.codebuild.docker_calls import BUILDKIT_IMAGE
from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.findings import Build, Reading
from toolkit.codebuild.shell_state import SOURCE

GOLDEN = Path(__file__).parents[2] / "golden"


def read(text: str, **values: str) -> Reading:
    reader = CommandReader(values)
    reader.read(text)
    return reader.reading


def images(text: str, **values: str) -> list[str]:
    return [
        f"{one.line} {one.kind} {one.name}{' always' if one.pulls_always else ''}{' ?' if one.unset else ''}"
        for one in read(text, **values).images
    ]


def build(text: str, **values: str) -> Build:
    [found] = read(text, **values).builds
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker pull nginx:1.16", ["1 pull nginx:1.16"]),
        ("docker pull -q nginx:1.16 && docker pull --platform linux/arm64 a:1", ["1 pull nginx:1.16", "1 pull a:1"]),
        ("sudo docker image pull 'nginx:1.16'", ["1 pull nginx:1.16"]),
        ("/usr/bin/docker --config x pull nginx:1.16 || true", ["1 pull nginx:1.16"]),
        ("docker run --rm -it -v /a:/b -e A=b --name=x nginx:1.16 sh -c 'ls'", ["1 run nginx:1.16"]),
        ("docker run --pull always alpine", ["1 run alpine always"]),
        ("docker create --pull=always alpine", ["1 run alpine always"]),
        ("id=$(docker create alpine:3)", ["1 run alpine:3"]),
        ("if ! docker run alpine; then\n  docker pull b:1\nfi", ["1 run alpine", "2 pull b:1"]),
        ("for i in 1 2; do docker pull a:1; done", ["1 pull a:1"]),
        ("retry 3 docker pull a:1 2>&1 | tee log", ["1 pull a:1"]),
        ("sh -c 'docker pull a:1'", ["1 pull a:1"]),
        ("V=2\ndocker pull a:$V", ["2 pull a:2"]),
        ("export V=2 W=3\ndocker pull a:${V}-$W", ["2 pull a:2-3"]),
        ("docker pull a:$V", ["1 pull a: ?"]),
        ("docker pull \\\n  a:1", ["1 pull a:1"]),
        ("docker run --rm -v $(pwd):/app -u `id -u` node:20 npm test", ["1 run node:20"]),
        ('docker run -v "$(git rev-parse "HEAD")":/x -e N=$((1 + 2)) a:1', ["1 run a:1"]),
        ("x=$(docker run a:1 ls | wc -l); docker pull b:1", ["1 run a:1", "1 pull b:1"]),
        ("x=$(\n  docker create a:1\n)", ["2 run a:1"]),
        ("# don't, isn't `it\ndocker pull a:1 # won't", ["2 pull a:1"]),
        ("[ $# -gt 0 ] && docker pull a:1", ["1 pull a:1"]),
        ("curl https://x/#a && docker pull a:1", ["1 pull a:1"]),
        ("echo 'a $(docker pull b:1)'\ndocker pull a:1", ["2 pull a:1"]),
        ("# docker pull a:1\necho docker pull b:1 # docker pull c:1", []),
        ("docker login -u AWS --password-stdin host; docker push a:1; docker ps", []),
        ("cat <<EOF > Dockerfile\ndocker pull a:1\nEOF\ndocker pull b:1", ["4 pull b:1"]),
        ("# build \\\ndocker pull a:1", ["2 pull a:1"]),
        ("echo a\\\\\ndocker pull a:1", ["2 pull a:1"]),
        ("# cat <<EOF\ndocker pull a:1\nEOF", ["2 pull a:1"]),
        ("bash -e <<'EOF'\ncd x\ndocker pull a:1\nEOF\ndocker pull b:1", ["3 pull a:1", "5 pull b:1"]),
        ("V=1; W=2 sh -c 'docker pull a:$V; docker pull b:$W'", ["1 pull a: ?", "1 pull b:2"]),
        ("export V=1; bash -c 'docker pull a:$V'", ["1 pull a:1"]),
        ("V=2; if x; then y=$(docker pull a:$V); fi", ["1 pull a:2"]),
        ("if V=2; then V=3; else y=$(docker pull a:$V); fi", ["1 pull a:2"]),
        ("cat <<EOF | sudo sh\ndocker pull a:1\nEOF", ["2 pull a:1"]),
        ("bash -lc 'docker pull a:1'; sudo sh -ec 'docker pull b:1'", ["1 pull a:1", "1 pull b:1"]),
        ("diff <(docker run a:1 ls) <(docker run b:1 ls)", ["1 run a:1", "1 run b:1"]),
        ("(docker pull a:1)>log; V=2; x=$(docker pull b:$V)", ["1 pull a:1", "1 pull b:2"]),
        ("D=docker\n$D pull a:1\nsudo ${E:-docker} pull b:1", ["2 pull a:1", "3 pull b:1"]),
        ("O='--platform linux/arm64 -q'; docker pull $O a:1", ["1 pull a:1"]),
        ("docker manifest inspect --verbose a:1", ["1 pull a:1"]),
        ("docker manifest create new:1 a:1 --amend b:1", ["1 pull a:1", "1 pull b:1"]),
        ("docker buildx imagetools inspect --format x a:1", ["1 pull a:1"]),
        ("docker buildx imagetools create -t new:1 a:1 b:1", ["1 pull a:1", "1 pull b:1"]),
        ("docker image inspect a; docker system prune -f; docker buildx inspect x; docker buildx; docker --version", []),
        ("mkdir -p /etc/docker /x; cp docker x; command -v docker; find docker x", []),
        ("docker buildx create --use --name x", [f"1 builder_image {BUILDKIT_IMAGE}"]),
        ("docker buildx create --driver-opt image=host/buildkit:1,network=host", ["1 builder_image host/buildkit:1"]),
        ("docker buildx build --sbom=true .", [f"1 sbom {SBOM_SCANNER}"]),
        ("docker buildx build --attest type=sbom,generator=x/y:1 .", ["1 sbom x/y:1"]),
        ("docker build --cache-from a:1 --cache-from type=registry,ref=b:1 --cache-from type=gha .", [
            "1 cache_from a:1", "1 cache_from b:1"]),
    ],
)  # fmt: skip
def test_commands_fetch_these_images(text: str, expected: list[str]) -> None:
    reading = read(text)
    assert images(text) == expected
    assert not reading.troubles


def test_reads_the_arguments_of_a_build() -> None:
    found = build(
        "docker build -t web:1 -f deploy/Dockerfile --pull --build-arg A=1 --build-arg B --build-arg C "
        "--platform linux/amd64,linux/arm64 --build-context nginx=docker-image://x:1 --target t ./web",
        B="2",
    )
    assert normpath(found.context) == "web"
    assert normpath(found.dockerfile or "") == "deploy/Dockerfile"
    assert not found.is_beside_context
    assert found.args == {"A": "1", "B": "2", "C": None}
    assert found.contexts == {"nginx": "docker-image://x:1"}
    assert found.platforms == ("linux/amd64", "linux/arm64")
    assert found.pulls_always
    assert found.target == "t"
    assert found.tags == ("web:1",)


@pytest.mark.parametrize("text", ["--build-arg A=$A", "--build-arg A=$(cat a)", "--build-arg A"])
def test_an_argument_that_nobody_knows_is_none(text: str) -> None:
    assert build(f"docker build {text} .").args == {"A": None}


def test_gives_a_bare_argument_the_clients_value() -> None:
    assert build("V=1 docker build --build-arg V .", V="2").args == {"V": "1"}
    assert build("V=1 docker build --build-arg V=$V .", V="2").args == {"V": "2"}


def test_shows_an_image_of_another_command_alone() -> None:
    [found] = read('docker pull "a:$(cat v)"').images
    assert (found.written, found.unset) == ("a:$(...)", ("a:$(...)",))


def test_lets_an_unknown_value_replace_a_known_one() -> None:
    assert images("V=1\nV=$(cat v)\ndocker pull a:${V:-2}") == ["3 pull a: ?"]


def test_a_target_that_nobody_knows_may_be_any() -> None:
    found = build("docker build --target $T .")
    assert (found.target, found.is_target_known) == (None, False)


def test_a_name_without_its_value_is_no_local_image() -> None:
    reading = read("docker tag x:1 nginx$X\ndocker build -t nginx$X .")
    assert (reading.tags, reading.builds[0].tags) == ((), ())


@pytest.mark.parametrize("text", ["docker build - < x/Dockerfile", "docker build -t a -f - . <x/Dockerfile >log 2>&1"])
def test_a_dockerfile_may_come_from_a_file_by_stdin(text: str) -> None:
    assert build(text).dockerfile == "./x/Dockerfile"


def test_a_build_happens_where_cd_went_before() -> None:
    assert build("cd web\ncd api && docker build .").context == "./web/api/."
    assert build("(cd web && ls)\npushd api\npopd\ndocker build .").context == "./."
    assert build("cd web\ncd $CODEBUILD_SRC_DIR\ndocker build .").context == "./."


def test_what_the_fragment_exports_is_known() -> None:
    found = build('cd web; docker buildx build $TOOLKIT_BUILD_CONTEXTS --file "$TOOLKIT_DOCKERFILES/api/Dockerfile" .')
    assert (found.context, found.dockerfile) == ("./web/.", "api/Dockerfile")
    assert build('docker build --file "$TOOLKIT_DOCKERFILE" .').dockerfile == "Dockerfile"


@pytest.mark.parametrize(
    ("text", "builder"),
    [
        ("docker build .", None),
        ("DOCKER_BUILDKIT=0 docker build .", Builder.LEGACY),
        ("export DOCKER_BUILDKIT=0\ndocker build .", Builder.LEGACY),
        ("export DOCKER_BUILDKIT=0\ndocker buildx build .", None),
        ("docker buildx create --use\ndocker buildx build .", Builder.CONTAINER),
        ("docker buildx use x\ndocker buildx use default\ndocker buildx build .", None),
        ("docker buildx create --use\ndocker build .", None),
        ("docker buildx create --name x\nexport BUILDX_BUILDER=x\ndocker build .", Builder.CONTAINER),
        ("docker build --builder x .", Builder.CONTAINER),
        ("docker buildx --builder x build .", Builder.CONTAINER),
        ("docker buildx create --use --name x\ndocker buildx rm x\ndocker buildx build .", None),
        ("docker buildx create --use --name x\ndocker buildx rm y\ndocker buildx build .", Builder.CONTAINER),
        ("export DOCKER_BUILDKIT=0\nunset DOCKER_BUILDKIT\ndocker build .", None),
        ("DOCKER_BUILDKIT=0\ndocker build .", None),
        ("sudo DOCKER_BUILDKIT=0 docker build .", Builder.LEGACY),
        ("BUILDX_BUILDER= docker build .", None),
        ("docker build --builder default .", Builder.BUILDKIT),
        ("BUILDX_BUILDER=x docker build .", Builder.CONTAINER),
    ],
)
def test_the_builder_is_the_one_that_the_commands_choose(text: str, builder: Builder | None) -> None:
    assert build(text).builder is builder


@pytest.mark.parametrize(
    "text",
    [
        "cat Dockerfile.x | docker build -",
        "docker build -f - .",
        "docker build https://github.com/acme/web.git",
        "docker build $WHERE",
        "docker build --platform $P .",
        "docker build --build-context nginx=$X .",
        "docker pull --platform $P nginx",
        "docker build",
        "docker build . more",
        "docker pull",
        "docker pull 'a",
        "cd $SOMEWHERE; docker build .",
        'eval "docker pull a:1"',
        "docker buildx create --driver kubernetes",
        "docker compose -f $FILE up",
        "docker compose --env-file $FILE up",
        "docker compose $WHAT",
        "COMPOSE_FILE=$X docker compose up",
        "cd $SOMEWHERE; docker compose up",
        "docker buildx bake https://github.com/acme/web.git",
        "docker buildx bake --set web.call=x",
        "docker buildx bake --set web",
        "docker service create nginx",
        "sudo docker $WHAT nginx",
        "$TOOL pull nginx",
        "$DOCKER run nginx",
        "$(which docker) run nginx",
        "bash <<EOF\ndocker pull a:$V\nEOF",
        "docker buildx imagetools create -t new:1 -f names",
        "DOCKER_BUILDKIT=$X docker build .",
        "DOCKER_DEFAULT_PLATFORM=$X docker pull nginx",
    ],
)
def test_reports_what_cannot_be_followed(text: str) -> None:
    [trouble] = [one for one in read(text).troubles if one.is_fault]
    assert trouble.is_fault
    assert trouble.line == 1


def test_scripts_are_named_because_they_are_not_read() -> None:
    text = "make all\n./build.sh\nbash -e x.sh\nsudo -E ./y.sh\nsh < z\ncurl https://x | bash\n$GO build\nsu - me"
    text += "\nexport $(cat .env)\neval $(ssh-agent)\nexport A=$(x) B"
    assert [f"{one.line} {one.message.split('`')[1]}" for one in read(text).troubles if not one.is_fault] == [
        "1 make", "2 ./build.sh", "3 x.sh", "4 ./y.sh", "5 z", "6 bash", "7 $GO",
        "9 export $(...)", "10 eval $(...)"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if x; then V=2; fi", "?"),
        ("if x; then V=2; else V=2; fi", "2"),
        ("if x; then V=1; fi", "1"),
        ("if x; then\n  docker pull b:1\n  V=2\nelif y; then V=2\nfi", "?"),
        ("while x; do V=2; done", "?"),
        ("for V in 2 3; do ls; done", "?"),
        ("case $X in\n  a) V=2 ;;\n  (b|docker) V=2 ;;\nesac", "?"),
        ("case $X in a) V=2 ;; *) V=2 ;; esac", "2"),
        ("case $X in a) V=2;; esac", "?"),
        ("[ -n '' ] && V=2", "?"),
        ("x || V=2", "?"),
        ("x ||\n  V=2", "?"),
        ("[ x ] && { ls; V=2; }", "?"),
        ("ls && V=2", "2"),
        ("{ V=2; }", "2"),
        ("f() { V=2; }", "?"),
        ("function f { V=2; }", "?"),
        ("(V=2)", "1"),
        ("x=$(V=2; echo x)", "1"),
        ("bash <<E\nV=2\nE", "1"),
        ("x && V=2\ny=$(export V=3)", "2"),
        ("[ x ] && V=2\ny=$(export V=3)", "?"),
        ("export V=2 W", "2"),
        ("declare -r V=2", "2"),
        ("read -r V", "?"),
        ("V+=2", "12"),
        ("V+=$X", "?"),
        ("unset V W", "0"),
        (". ./settings.env", "?"),
        ("source settings.env && ls", "?"),
        ("(. ./settings.env)", "1"),
        ("sh settings.sh", "1"),
        ("export $(cat .env | xargs)", "?"),
        ('eval "$(cat .env)"', "?"),
        (". ./settings.env; V=2", "2"),
        (". venv/bin/activate", "1"),
        ('. "$HOME/.nvm/nvm.sh"', "1"),
        ("eval $(ssh-agent -s)", "1"),
        ("eval $(aws ecr get-login --no-include-email)", "1"),
        ("if x; then V=2", "?"),
    ],
)
def test_a_value_is_known_that_holds_on_every_way(text: str, expected: str) -> None:
    reader = CommandReader({})
    reader.read(f"V=1\n{text}")
    reader.read("docker pull a:${V:-0}")
    assert (reader.reading.images[-1].name.removeprefix("a:") or "?") == expected


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("if true; then cd app; docker build .; fi", "app"),
        ("cd app || exit 1\ndocker build .", "app"),
        ("[ -d app ] && cd app && docker build .", "app"),
        ("if x; then cd app; cd ..; fi\ndocker build .", "."),
        ("pushd app; case $X in a) docker build . ;; esac", "app"),
        ("pushd app; (cd x); docker build .", "app"),
        ("(pushd app); docker build .", "."),
        ("x=$(cd app; pwd); docker build .", "."),
        ("cd -P -- app; docker build .", "app"),
        ("cd app; cd $CODEBUILD_SRC_DIR/api; docker build .", "api"),
        ("for i in 1 2; do (cd x && ls); done\ndocker build .", "."),
        ("if x; then cd app; fi\ndocker build .", None),
        ("cd; docker build .", None),
        ("cd $X; cd ..; docker build .", None),
        ("popd; docker build .", None),
    ],
)
def test_a_folder_is_known_that_holds_on_every_way(text: str, folder: str | None) -> None:
    reading = read(text)
    assert [normpath(one.context) for one in reading.builds] == ([folder] if folder else [])
    assert [one.is_fault for one in reading.troubles] == ([] if folder else [True])


def test_programs_see_what_is_exported() -> None:
    text = "V=1\nexport W=2\nX=3 docker compose build\nunset W\nset -a\nY=$Z\ndocker compose build"
    folders = {"CODEBUILD_SRC_DIR": SOURCE, "PWD": SOURCE}
    assert [{**one.values} for one in read(text, A="0").follows] == [
        {**folders, "A": "0", "W": "2", "X": "3"},
        {**folders, "A": "0", "Y": None},
    ]


def test_compose_and_bake_lead_to_their_files() -> None:
    text = """\
cd a; docker compose build --pull
docker-compose -f x.yml up -d
docker bake -f b.hcl t
docker compose down
COMPOSE_FILE=c.yml:d.yml docker compose run --pull always x docker compose build
docker-buildx f --pull
"""
    found = [(one.line, one.path, *one.above, one.kind, one.pulls_always) for one in read(text).follows]
    assert found == [
        (1, "./a/", "compose", True),
        (2, "./a/x.yml", "compose", False),
        (3, "./a/b.hcl", "bake", False),
        (5, "./a/c.yml", "./a/d.yml", "compose", True),
        (6, "./a/", "bake", True),
    ]


def test_what_a_command_says_holds_for_its_file() -> None:
    [compose, bake] = read(
        "docker compose --env-file ci.env build --quiet --builder mine --build-arg V=9 --build-arg W=$W web\n"
        "docker buildx --builder mine bake --set *.args.V=9 --set web.tags=x --set *.platform=linux/arm64 --var T=$T"
    ).follows
    assert (compose.builder, compose.args, compose.env_files) == (
        Builder.CONTAINER,
        {"V": "9", "W": None},
        ("./ci.env",),
    )
    assert (bake.builder, bake.targets, bake.values["T"]) == (Builder.CONTAINER, ("default",), None)
    assert bake.changes == (("*.args.V", "9"), ("web.tags", "x"), ("*.platform", "linux/arm64"))


@pytest.mark.parametrize(
    "text", ["docker compose build --sbom generator=a:1", "docker buildx bake --sbom=generator=a:1"]
)
def test_a_scanner_that_a_command_names_is_an_image(text: str) -> None:
    assert images(text) == ["1 sbom a:1"]


def test_a_tag_names_a_local_image() -> None:
    assert read("docker tag x:1 nginx:1.16").tags == ("nginx:1.16",)


def test_knows_the_tags_of_a_build_it_does_not_understand() -> None:
    assert read("docker build $OPTIONS -t a:1 --tag=b:$V .\ndocker build -t c:1 $FOLDER").tags == ("a:1", "c:1")
    assert build("docker build -t a:$V -t b:$W .", V="1").tags == ("a:1",)


BUILDSPEC = """\
version: 0.2
env:
  variables: {V: "1.16"}
phases:
  build:
    finally:
      - docker pull c:1
    commands:
      - |
        set -eu
        docker pull nginx:$V
      - cd web
      - docker build .
  pre_build:
    commands: ["docker pull a:1"]
"""


def test_reads_a_buildspec_in_its_order() -> None:
    reading = read_buildspec(BUILDSPEC)
    assert [(one.line, one.name) for one in reading.images] == [(15, "a:1"), (11, "nginx:1.16"), (7, "c:1")]
    assert [(one.line, one.context) for one in reading.builds] == [(13, "./web/.")]


@pytest.mark.parametrize("path", sorted((GOLDEN / "buildspec").glob("*.yml")), ids=lambda path: path.stem)
def test_skips_the_generated_step(path: Path) -> None:
    reading = read_buildspec(path.read_text(encoding="utf-8"))
    assert not reading.images
    assert not [trouble for trouble in reading.troubles if trouble.is_fault]


def test_given_values_go_before_a_buildspecs_own() -> None:
    assert "nginx:9" in [one.name for one in read_buildspec(BUILDSPEC, {"V": "9"}).images]


def test_fills_unknown_variables_with_given_values() -> None:
    text = """\
phases:
  build:
    commands:
      - V=$(cat v); W=$(cat w); X=3
      - docker pull a:$V-$X
      - W=$W docker build --build-arg W --build-arg X=$(cat x) .
"""
    reading = read_buildspec(text, {"V": "1", "W": "2", "X": "9"})
    assert [one.name for one in reading.images] == ["a:1-3"]
    assert reading.builds[0].args == {"W": "2", "X": None}


def test_a_command_that_is_no_text_is_said() -> None:
    [trouble] = read_buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b\n").troubles
    assert (trouble.line, trouble.is_fault) == (5, True)


def test_commands_that_are_no_list_are_read() -> None:
    reading = read_buildspec("phases:\n  build:\n    commands: docker pull nginx:9\n  post_build: docker pull a:1\n")
    assert [(one.line, one.name) for one in reading.images] == [(3, "nginx:9")]
    assert [(one.line, one.is_fault) for one in reading.troubles] == [(4, True)]


BATCH = """\
version: 0.2
env:
  variables: {V: 1, W: 1}
  parameter-store: {P: /shop/p}
batch:
  build-list:
    - identifier: a
      env: {image: "nginx:9", variables: {V: 2}}
    - env: {image: "aws/codebuild/standard:7.0"}
  build-matrix:
    dynamic:
      env:
        image: [node:20, node:22]
phases:
  build:
    commands: ["docker pull a:${V:-3}", "docker pull b:$W", "docker pull c:${P:-3}"]
"""


def test_follows_the_builds_of_a_batch() -> None:
    reading = read_buildspec(BATCH, project={"X": "1"})
    assert [(one.line, one.name) for one in reading.images] == [(8, "nginx:9"), (13, "node:20"), (13, "node:22")]
    variables = [{**one.values} for one in reading.follows]
    name = "CODEBUILD_BATCH_BUILD_IDENTIFIER"
    assert variables == [{"X": "1", "V": "2", name: "a"}, {"X": "1", name: None}, {"X": "1", name: None}]
    found = [read_buildspec(BATCH, project=values).images for values in variables[:2]]
    assert [[(one.name, one.unset) for one in images] for images in found] == [
        [("a:2", ()), ("b:1", ()), ("c:", ("P",))],
        [("a:1", ()), ("b:1", ()), ("c:", ("P",))],
    ]


def test_prefers_variables_of_the_project() -> None:
    project = {"V": "7", "W": "7", "P": "7", "CODEBUILD_BATCH_BUILD_IDENTIFIER": "a"}
    found = read_buildspec(BATCH, {"P": "9"}, project).images
    assert [one.name for one in found[:3]] == ["a:7", "b:7", "c:9"]


def test_a_matrix_is_every_combination_of_its_lists() -> None:
    text = """\
batch:
  build-matrix:
    static: {env: {variables: {S: 0}, image: "a:1"}}
    dynamic:
      buildspec: [one.yml, two.yml]
      env: {variables: {V: [1, 2], W: [x]}}
phases: {build: {commands: ["docker pull b:$V"]}}
"""
    reading = read_buildspec(text)
    assert [(one.line, one.name) for one in reading.images] == [(3, "a:1")]
    found = [(one.line, one.path, one.values.get("S"), one.values.get("V")) for one in reading.follows]
    assert found == [
        (5, "one.yml", "0", "1"),
        (5, "two.yml", "0", "1"),
        (5, "one.yml", "0", "2"),
        (5, "two.yml", "0", "2"),
        (7, "", None, None),
    ]
    many = text.replace("[1, 2]", f"{list(range(201))}")
    assert [one.is_fault for one in read_buildspec(many).troubles] == [True]


@pytest.mark.parametrize("text", ["", "a: [", "version: 0.2", "- a", "phases: x", "a: 1\n---\nb: 2"])
def test_what_is_no_buildspec_is_a_fault(text: str) -> None:
    [trouble] = read_buildspec(text).troubles
    assert trouble.is_fault


@given(st.text(alphabet="docker pulbi<>|&;()'\"\\\n$-{}.=#`", max_size=80))
def test_any_shell_text_is_read(text: str) -> None:
    read(text)


WORDS = [
    "if x",
    "then",
    "elif y",
    "else",
    "fi",
    "for i in a",
    "while x",
    "do",
    "done",
    "case $X in",
    "a)",
    "esac",
    "(",
    ")",
]
WORDS += [
    "{",
    "}",
    "f()",
    "function f",
    "V=1",
    "V+=$W",
    "export V",
    "unset V",
    "cd a",
    "pushd b",
    "popd",
    "docker build .",
]
WORDS += [
    "docker pull a:$V",
    "$(",
    "`",
    "bash <<E",
    "E",
    "sh -c '",
    "'",
    "$V",
    "sudo",
    "!",
    "docker compose up",
    "docker",
]


@given(
    st.lists(st.sampled_from(WORDS) | st.sampled_from([";", "\n", "&&", "||", ";;", "|", " \\\n", "#"])).map(" ".join)
)
def test_keywords_in_any_order_are_read(text: str) -> None:
    read(text)


@given(st.lists(st.sampled_from(["{", "if x; then", "(", "case x in a)", "for i in 1; do", "x &&", "bash -c '"])))
def test_what_is_left_open_does_not_hide_what_follows(opened: list[str]) -> None:
    reading = read("\n".join([*opened, "docker pull a:1"]))
    assert reading.images or any(trouble.is_fault for trouble in reading.troubles)


@pytest.mark.parametrize(
    ("text", "context", "dockerfile"),
    [
        ("docker build $CODEBUILD_SRC_DIR/app", "./app", None),
        ("cd x; docker build -f ${CODEBUILD_SRC_DIR}/D $CODEBUILD_SRC_DIR", ".", "./D"),
        ("cd x; docker build -f $PWD/D `pwd`", "./x", "./x/D"),
        ('cd x; docker build -f "$(pwd)/D" "$(pwd -P)/.."', "./x/..", "./x/D"),
        ("A=$(pwd)/a; cd x; docker build $A", "./a", None),
        ("A=$CODEBUILD_SRC_DIR; . ./env.sh; docker build $CODEBUILD_SRC_DIR/b", "./b", None),
    ],
)
def test_knows_where_the_source_and_the_folder_are(text: str, context: str, dockerfile: str | None) -> None:
    reading = read(text)
    assert [(one.context, one.dockerfile) for one in reading.builds] == [(context, dockerfile)]
    assert not any(trouble.is_fault for trouble in reading.troubles)


@pytest.mark.parametrize("text", ["docker build /srv/app", "docker build -f /srv/D .", "cd $X; docker build $PWD"])
def test_a_folder_elsewhere_is_not_read(text: str) -> None:
    reading = read(text)
    assert (reading.builds, [trouble.is_fault for trouble in reading.troubles]) == ((), [True])


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("npm test", "npm test"),
        ("sudo npm --silent run docker build .", "npm run"),
        ("./mvnw -B verify", "mvnw"),
        ("CI=1 make docker", "make"),
        ("go test ./...", "go test"),
        ("cd x && bundle exec rake", "bundle exec"),
        ("./build.sh docker", "./build.sh"),
        ("yarn --cwd app test", "yarn test"),
        ("go build ./run", None),
        ("npm ci", None),
        ("go build ./...", None),
        ("pip install tox", None),
    ],
)
def test_says_which_commands_run_what_is_not_read(text: str, tool: str | None) -> None:
    reading = read(text)
    assert [one.message.split("`")[1] for one in reading.troubles if one.hides] == ([tool] if tool else [])
    assert not any(one.is_fault for one in reading.troubles)
    assert not reading.builds


def test_a_text_that_is_run_hides_what_it_does_unless_it_only_sets_variables() -> None:
    found = [one.hides for one in read("eval $TASK\neval $(ssh-agent)\nexport $(cat .env)").troubles]
    assert found == [True, False, False]
