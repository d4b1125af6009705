"""Images that tests start by Testcontainers, in the sources of five languages."""

from __future__ import annotations

import pytest

from toolkit.codebuild.testcontainers_reading import (
    read_properties,
    read_settings,
    read_tests,
    ryuk_of_go,
    uses_testcontainers,
)

JAVA = "import org.testcontainers.containers.*;\nimport org.testcontainers.utility.DockerImageName;\nclass T {\n"
GO = 'package x\nimport (\n\t"github.com/testcontainers/testcontainers-go"\n\tpg "github.com/testcontainers/testcontainers-go/modules/postgres"\n)\n'
PYTHON = "from testcontainers.postgres import PostgresContainer\nfrom testcontainers.core.container import (\n  DockerContainer as DC,\n)\n"
NODE = "import { GenericContainer } from 'testcontainers';\nimport { PostgreSqlContainer as Pg, StartedPostgreSqlContainer } from \"@testcontainers/postgresql\";\n"
DOTNET = "using Testcontainers.PostgreSql;\n"


def found(language: str, text: str, *, needs_new: bool = False, **values: str) -> list[str]:
    images = read_tests(text, language, values, needs_new=needs_new).images
    return [image.name if not image.unset else f"?{image.written}" for image in images]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("java", JAVA + 'new PostgreSQLContainer<>("postgres:16")', ["postgres:16"]),
        ("java", JAVA + 'PostgreSQLContainer<Nothing>("postgres:16").apply { }', ["postgres:16"]),
        ("java", JAVA + "new GenericContainer('redis:7')", ["redis:7"]),
        ("java", JAVA + 'new GenericContainer<>(DockerImageName.parse("redis:7"))', ["redis:7"]),
        ("java", JAVA + 'new GenericContainer<>(DockerImageName.parse("redis").withTag("7"))', ["redis:7"]),
        ("java", JAVA + 'new GenericContainer<>(new DockerImageName("redis", "7"))', ["redis:7"]),
        ("java", JAVA + 'static final String V = "7";\nnew GenericContainer<>("redis:" + V)', ["redis:7"]),
        (
            "java",
            JAVA + 'DockerImageName I = DockerImageName.parse("redis:6");\nnew GenericContainer<>(I.withTag("7"))',
            ["redis:7"],
        ),
        ("java", JAVA + 'DockerImageName I = DockerImageName.parse("redis:7");\n', ["redis:7"]),
        (
            "java",
            JAVA + '}\nclass Pg extends PostgreSQLContainer<Pg> { Pg() { super("postgres:16"); } }',
            ["postgres:16"],
        ),
        ("java", 'String url = "jdbc:tc:postgresql:16.2:///shop?user=x";', ["postgres:16.2"]),
        ("java", 'val url = "r2dbc:tc:mysql:///shop?TC_IMAGE_TAG=8.4"', ["mysql:8.4"]),
        ("java", JAVA + 'new ImageFromDockerfile().withDockerfileFromBuilder(b -> b.from("alpine:3"))', ["alpine:3"]),
        ("go", GO + 'testcontainers.ContainerRequest{\n\tImage: "redis:7",\n\tCmd: x}', ["redis:7"]),
        ("go", GO + 'pg.Run(ctx, "postgres:16", opts...)', ["postgres:16"]),
        ("go", GO + 'pg.RunContainer(ctx, testcontainers.WithImage("postgres:16"))', ["postgres:16"]),
        ("go", GO + "const (\n\timage = `postgres:16`\n)\npg.Run(ctx, image)", ["postgres:16"]),
        ("python", PYTHON + 'with PostgresContainer("postgres:16") as db: pass', ["postgres:16"]),
        ("python", PYTHON + 'DC(\n  image="redis:7",\n  ports=[1])', ["redis:7"]),
        ("python", PYTHON + 'V = "7"\nDC(f"redis:{V}")', ["redis:7"]),
        ("python", PYTHON + 'class C(DC):\n  def __init__(self):\n    super().__init__("redis:7")\n', ["redis:7"]),
        ("node", NODE + 'await new GenericContainer("redis:7").start()', ["redis:7"]),
        ("node", NODE + "const V = '16';\nnew Pg(`postgres:${V}`)", ["postgres:16"]),
        ("dotnet", DOTNET + 'new PostgreSqlBuilder().WithImage("postgres:16").Build();', ["postgres:16"]),
        ("dotnet", DOTNET + 'new PostgreSqlBuilder("postgres:16").Build();', ["postgres:16"]),
        ("dotnet", DOTNET + 'const string V = "7";\nnew ContainerBuilder().WithImage($"redis:{V}")', ["redis:7"]),
    ],
)
def test_reads_the_usual_calls(language: str, text: str, expected: list[str]) -> None:
    assert found(language, text) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("java", JAVA + "new GenericContainer<>(image)", ["?${image}"]),
        ("java", JAVA + 'new GenericContainer<>(System.getenv("IMAGE"))', ['?System.getenv("IMAGE")']),
        ("java", JAVA + "new GenericContainer<>(Images.REDIS)", ["?${REDIS}"]),
        ("java", JAVA + 'String v = "6";\nv = "7";\nnew GenericContainer<>("redis:" + v)', ["?redis:${v}"]),
        ("java", JAVA + "new PostgreSQLContainer<>()", ["?PostgreSQLContainer()"]),
        ("java", 'String url = "jdbc:tc:postgresql:///shop";', ["?jdbc:tc:postgresql:"]),
        ("go", GO + "func f(img string) { pg.Run(ctx, img) }", ["?${img}"]),
        ("go", GO + "pg.RunContainer(ctx)", ["?pg.RunContainer()"]),
        ("python", PYTHON + "PostgresContainer()", ["?PostgresContainer()"]),
        ("python", PYTHON + 'def f(image="redis:7"):\n  DC(image)\n', ["?${image}"]),
        ("node", NODE + "new GenericContainer(`redis:${process.env.V}`)", ["?redis:${V}"]),
        ("dotnet", DOTNET + "new PostgreSqlBuilder().Build();", ["?PostgreSqlBuilder()"]),
        ("java", JAVA + "a = b;\nb = a;\nnew GenericContainer<>(a)", ["?${a}"]),
    ],
)
def test_never_guesses_a_name(language: str, text: str, expected: list[str]) -> None:
    assert found(language, text) == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", JAVA + '// new GenericContainer("a:1")\n/* new GenericContainer("b:1") */'),
        ("java", JAVA + 'String s = "new GenericContainer(\\"a:1\\")";'),
        ("java", JAVA + 'new GenericContainer<>("No Image!")'),
        ("java", JAVA + 'createContainer("a:1"); copyFileToContainer("b:1");'),
        ("java", JAVA + "PostgreSQLContainer(final DockerImageName image) { }"),
        ("java", 'import java.util.*;\nnew ShippingContainer("a:1")'),
        ("java", JAVA + 'DockerImageName.parse(x).assertCompatibleWith(DockerImageName.parse("postgres:16"))'),
        ("java", JAVA + "new GenericContainer<>(new ImageFromDockerfile())"),
        ("java", JAVA + 'new DockerComposeContainer<>(new File("compose-test.yml"))'),
        ("go", GO + 'other.Run(ctx, "a:1")'),
        ("go", GO + 'testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{Context: "."}}'),
        ("python", PYTHON + '# DC("a:1")\nother.DC("b:1")\nclass C(DC):\n  pass\n'),
        ("node", NODE + "class X extends StartedPostgreSqlContainer { constructor(c) { super(c) } }"),
        ("node", NODE + 'GenericContainer.fromDockerfile("./app").build()'),
        ("dotnet", DOTNET + 'new StringBuilder("a:1")'),
    ],
)
def test_takes_nothing_else_for_an_image(language: str, text: str) -> None:
    assert [name for name in found(language, text) if "socat" not in name] == []


def test_fills_in_what_the_user_knows() -> None:
    assert found("java", JAVA + 'new GenericContainer<>("redis:" + V)', V="7") == ["redis:7"]


def test_makes_objects_by_new_only_where_the_language_does() -> None:
    text = JAVA + 'GenericContainer("redis:7")'
    assert (found("java", text), found("java", text, needs_new=True)) == (["redis:7"], [])


def test_pulls_always_where_the_source_asks_for_it() -> None:
    text = JAVA + 'new GenericContainer<>("redis:7").withImagePullPolicy(PullPolicy.alwaysPull())'
    assert [image.pulls_always for image in read_tests(text, "java").images] == [True]


@pytest.mark.parametrize(
    ("language", "text", "helper"),
    [
        ("java", JAVA + "Testcontainers.exposeHostPorts(80);", "testcontainers/sshd"),
        ("go", GO + "HostAccessPorts: []int{80}", "testcontainers/sshd"),
        ("java", JAVA + 'new DockerComposeContainer<>(new File("x"))', "alpine/socat"),
    ],
)
def test_knows_the_helpers_that_a_library_starts(language: str, text: str, helper: str) -> None:
    assert [(one.name, one.is_implied) for one in read_tests(text, language).images] == [(helper, True)]


def test_reads_the_names_of_a_properties_file() -> None:
    reading, properties = read_properties(
        "# ryuk.container.image=no:1\nryuk.container.image = acme/ryuk:1\nhub.image.name.prefix=r.example/hub/\n"
    )
    assert [(image.line, image.name) for image in reading.images] == [(2, "acme/ryuk:1")]
    assert properties["hub.image.name.prefix"] == "r.example/hub/"


def test_reads_the_urls_of_settings() -> None:
    text = "a:\n  url: jdbc:tc:mysql:8.4:///db\n  other: jdbc:mysql://db\n"
    assert [(image.line, image.name) for image in read_settings(text).images] == [(2, "mysql:8.4")]


@pytest.mark.parametrize(
    ("release", "tag"), [("v0.11.1", None), ("v0.34.0", "0.10.2"), ("v0.42.9", "0.13.0"), ("v0.45.0", None), ("", None)]
)
def test_knows_the_ryuk_of_a_release_in_go(release: str, tag: str | None) -> None:
    text = f"require (\n\tgithub.com/testcontainers/testcontainers-go {release}\n)\n"
    assert ryuk_of_go(text) == (tag and f"testcontainers/ryuk:{tag}")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", "class T {}"),
        ("python", 'x = "testcontainers"'),
        ("node", "testcontainers"),
        ("go", "// testcontainers"),
    ],
)
def test_needs_the_library_to_be_imported(language: str, text: str) -> None:
    assert not uses_testcontainers(text, language)


@pytest.mark.parametrize("text", ['"' * 100_000, "(" * 100_000, "a=" * 50_000, "'''" + "\\" * 100_000, "/*" * 50_000])
def test_reads_hostile_text_in_time(text: str) -> None:
    for language, head in (("java", JAVA), ("go", GO), ("python", PYTHON), ("node", NODE), ("dotnet", DOTNET)):
        read_tests(f"{head}{text}\nnew GenericContainer(x", language)
