"""README and docs agree with the code: links, commands, options, configs, metrics, numbers of the summary."""

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import yaml

import cli
from lab.studies.study_file import read_study
from lab.training import registry
from lab.training.plan import Plan
from tests.few_batches import few_batches

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("lightning_models", "datamodules", "lab")
    for path in sorted((ROOT / folder).rglob("*.py"))
)
CONFIG_OF_THE_RUN = {  # what stands for RUN/config.yaml on a page, by default a GAN's
    "docs/vae.md": "configs/vae/digits.yaml",
    "docs/classifier.md": "configs/classifier/digits.yaml",
    "docs/sequences.md": "configs/names/surnames.yaml",
    "docs/text.md": "configs/text/english.yaml",
}
PLACEHOLDERS = {"FILE", "DIR", "CONFIG", "COMMAND", "NAME.yaml", "..."}


def commands():
    """(page, command line) of every `python cli.py` in a code block or in backticks."""
    found = []
    for page, text in TEXTS.items():
        for line in re.sub(r"\\\n *", "", text).splitlines():
            lines = re.findall(r"`(python cli\.py [^`]+)`", line) or re.findall(
                r"^ *(?:cat .*\| )?(python cli\.py .+)", line
            )
            for command in lines:
                words = shlex.split(command.removeprefix("python cli.py "), comments=True)
                if (
                    len(words) > 1
                    and words[-1] != "-c"
                    and not any(word in PLACEHOLDERS or "..." in word or "NAME" in word for word in words)
                ):
                    found.append((page, words))
    return found


COMMANDS = commands()


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)) for heading in headings]
    return {heading.strip().lower().replace(" ", "-") for heading in plain}


# ------------------------------------------------------------------------------------------------- links and names


@pytest.mark.parametrize("page", TEXTS)
def test_relative_links_and_their_anchors_exist(page):
    links = re.findall(r"\]\(([^)\s]+)\)", TEXTS[page])
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", TEXTS)
def test_paths_that_are_named_exist(page):
    text = TEXTS[page]
    if page == "CHANGELOG.md":
        text = text.partition("**Judges")[0]  # which names what was renamed
    for path in re.findall(
        r"(?<![\w/])(?:configs|tests|docs|datamodules|lightning_models|lab|benchmarks)/[\w./-]*\w", text
    ):
        if page == "CONTRIBUTING.md" and not (ROOT / path).exists():
            assert "my_" in path, path  # the file that the reader adds
        elif "/NAME" not in path and path != "lab/configs":
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", TEXTS)
def test_a_config_by_its_short_name_is_of_a_family(page):
    for family, name in re.findall(r"`(classifier|vae|text|gan|names|languages|palindromes)/(\w+)`", TEXTS[page]):
        assert (ROOT / "configs" / family / f"{name}.yaml").is_file(), f"{family}/{name}"


def test_the_index_names_every_page_and_every_picture_is_shown():
    index = TEXTS["docs/README.md"]
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name
    everything = "\n".join(TEXTS.values())
    for picture in (ROOT / "docs" / "images").iterdir():
        assert f"images/{picture.name})" in everything, picture.name


def test_the_readme_names_every_model_and_data_set():
    for made in (*registry.MODELS, *registry.DATA):
        assert f"`{made.__name__}`" in TEXTS["README.md"], made.__name__


# ---------------------------------------------------------------------------------------------- commands and options


@pytest.fixture(scope="module")
def parser():
    """The parser of `fit`, which takes longer to make than to use; those of validate, test and predict are like it."""
    return Plan(["--model", "GAN", "--data", "Digits"]).parser


def test_there_are_commands_of_each_kind():
    kinds = Counter(words[0] for _, words in COMMANDS)
    assert set(kinds) >= {"fit", "validate", "test", "predict", "sample", "interpolate", "study", "report"}
    assert kinds["fit"] > 20


def every_command():
    """Each command once; those of the reference pages, half a second each, are left to the full suite."""
    seen = set()
    for page, words in COMMANDS:
        key = (CONFIG_OF_THE_RUN.get(page), *words)
        if key not in seen:
            seen.add(key)
            marks = () if page in ("README.md", "docs/tutorial.md") else (pytest.mark.full,)
            yield pytest.param(page, words, id=f"{page}: {shlex.join(words)}", marks=marks)


@pytest.mark.parametrize(("page", "words"), list(every_command()))
def test_a_command_is_understood(page, words, parser, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    command, options = words[0], words[1:]
    if "--help" in words:
        return
    if any(word.endswith(".help") for word in options):
        assert options[-1] in {made.__name__ for made in (*registry.MODELS, *registry.DATA)}
    elif command in ("fit", "validate", "test", "predict"):
        run = (
            "configs/text/english.yaml"
            if "TEXT_RUN/config.yaml" in options
            else CONFIG_OF_THE_RUN.get(page, "configs/gan/digits.yaml")
        )
        if "--data.predict_path" in options:
            run = CONFIG_OF_THE_RUN["docs/sequences.md"]
        known = [] if command == "fit" or "-c" in options else ["-c", run]  # those in the checkpoint
        parser.parse_args(["fit", *known, *(run if word.endswith("RUN/config.yaml") else word for word in options)])
    else:  # the options are read first, then the file, which is not there
        missing = str(tmp_path / "missing")
        place = options.index("--ckpt_path") + 1 if "--ckpt_path" in options else 0
        with pytest.raises((SystemExit, FileNotFoundError)) as stopped:
            cli.main([command, *options[:place], missing, *options[place + 1 :]])
        assert missing in capsys.readouterr().err + str(stopped.value)
        if command == "study" and options[0].startswith("configs/"):
            read_study(Path(options[0]), quick="--quick" in options)


def test_a_wrong_option_of_a_command_is_found(parser, tmp_path, monkeypatch, capsys):
    """What the test above relies on."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(Exception, match="latent_dimm"):
        parser.parse_args(["fit", "-c", "configs/gan/digits.yaml", "--model.latent_dimm", "3"])
    with pytest.raises(SystemExit):
        cli.main(["study", str(tmp_path / "missing"), "--dryrun"])
    assert str(tmp_path / "missing") not in capsys.readouterr().err


@pytest.fixture(scope="module")
def options(parser):
    """All options of `fit` with their full names, those of the model and the data apart."""
    return {
        name.removeprefix("fit.")
        for name, _ in parser.parse_args(["fit", "--model", "GAN", "--data", "Digits"]).items()
    }


def known_names(options):
    """The last parts of all options: of the command, the Trainer, and the arguments of every class of the project."""
    names = {name.rpartition(".")[2] for name in options}
    names |= set(re.findall(r"\b(\w+): [^=\n]+ = ", SOURCES)) | set(re.findall(r'"--(\w+)"', SOURCES))
    return names | {"help", "config"}


def is_known(option, options, names):
    """Whether there is such an option; of `model` and `data`, whose classes vary, whether a class has its last part."""
    if re.match(r"(trainer|samples|texts|quality|alarms|wandb)\.", option) and option != "trainer.callbacks.name":
        return option in options
    return option.rpartition(".")[2] in names


def test_options_of_commands_exist(options):
    names = known_names(options)
    for page, words in COMMANDS:
        for word in words:
            assert not word.startswith("--") or is_known(word.removeprefix("--"), options, names), f"{page}: {word}"


def test_options_in_running_text_exist(options):
    names = known_names(options)
    for page, text in TEXTS.items():
        if page == "CHANGELOG.md":
            continue  # which names what is no more
        found = re.findall(r"`(?:--)([a-z_]+(?:\.[a-z_0-9]+)*)[ `]", text)
        found += re.findall(
            r"`((?:model|data|trainer|samples|texts|quality|alarms|wandb)\.(?!json|csv)[a-z_.]+)`", text
        )
        for option in found:
            assert is_known(option, options, names), f"{page}: --{option}"


# ------------------------------------------------------------------------------------------------------------ metrics


@pytest.mark.parametrize("page", TEXTS)
def test_metrics_that_are_named_are_logged_somewhere(page):
    for metric in re.findall(r"`(?:train|val|test)/([a-z]\w*)", TEXTS[page]):
        name = re.sub(r"_(length_\d.*|mnist|)$", "", metric)
        assert re.search(rf"\b{name}\b", SOURCES), metric


def table_of_metrics(page):
    """The metrics of the table "What is logged" of a family's page."""
    section = TEXTS[page].partition("## What is logged")[2].partition("\n## ")[0]
    rows = "\n".join(line.split(" | ")[0] for line in section.splitlines() if line.startswith("|"))
    return set(re.findall(r"`((?:train|val|test)/[^`]+)`", rows))


@pytest.mark.full
@pytest.mark.parametrize(
    "page", ["docs/gan.md", "docs/vae.md", "docs/classifier.md", "docs/sequences.md", "docs/text.md"]
)
def test_every_metric_of_a_run_is_explained(page, request):
    run = {"docs/gan.md": "gan", "docs/vae.md": "vae", "docs/classifier.md": "classifier", "docs/sequences.md": "names"}
    run_dir = request.getfixturevalue(f"{run.get(page, 'text')}_run")
    with (run_dir / "metrics.csv").open() as file:
        logged = {name for name in file.readline().strip().split(",") if "/" in name}
    names = {metric.partition("/")[2] for metric in table_of_metrics(page)}
    names |= set(re.findall(r"`val/(\w+)`", TEXTS["docs/metrics.md"]))
    for metric in logged:
        name = re.sub("^(fid|kid)_contrastive$", r"\1", metric.partition("/")[2])  # `val/fid_<network>`
        assert name in names or name.startswith("accuracy_"), f"{metric} is logged but {page} does not explain it"


# ------------------------------------------------------------------------------------------------- results and reports


def test_the_numbers_of_the_summary_stand_in_the_sections_below():
    summary, _, below = TEXTS["docs/RESULTS.md"].partition("## Adversarial networks")
    rows = [line.split(" | ") for line in summary.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    below = re.sub(r"\(\d[\d.]*\)", "", below + TEXTS["docs/sequences.md"])  # without the numbers of the report
    measured = set(re.findall(r"\d[\d.,]*\d", below))
    for _claim, ours, _command in rows:
        for number in re.findall(r"\d+[.,]\d+", ours):
            assert any(found.startswith(number) or round_as(found, number) for found in measured), number


def round_as(found, number):
    """Whether `found`, rounded to as many digits, is `number`."""
    try:
        value = float(found.replace(",", ""))
    except ValueError:
        return False
    return "." in number and f"{value:.{len(number.partition('.')[2])}f}" == number


@pytest.mark.parametrize("page", TEXTS)
def test_numbers_of_a_family_page_are_those_of_the_results(page):
    if page not in ("docs/gan.md", "docs/vae.md", "docs/classifier.md", "docs/text.md"):
        return
    results = TEXTS["docs/RESULTS.md"]
    section = TEXTS[page].partition("## Results\n")[2]
    numbers = re.findall(
        r"(?<![\w.])\d+\.\d+", "\n".join(line for line in section.splitlines() if line.startswith("| "))
    )
    assert numbers
    assert not [number for number in numbers if number not in results]


def test_every_config_and_study_of_a_report_is_listed():
    text = TEXTS["docs/REPORTS.md"]
    for path in sorted((ROOT / "configs").rglob("*.yaml")):
        first_line = path.read_text(encoding="utf-8").partition("\n")[0]
        if re.match(r"# (Beyond )?[Rr]eport [1-5]", first_line) and "studies" not in path.parts:
            assert f"`{path.relative_to(ROOT)}`" in text, path
    for report in range(1, 6):
        paragraph = text.partition(f"## Report {report}:")[2].partition("\n## ")[0]
        for path in (ROOT / "configs" / "studies" / f"report{report}").glob("*.yaml"):
            shown = path.stem.replace("cifar10", "mnist") if report == 4 else path.stem
            assert f"`{shown}`" in paragraph, path


# ----------------------------------------------------------------------------------------------------------- tutorial


def study_of_the_tutorial():
    return re.findall(r"```yaml\n(.*?)```", TEXTS["docs/tutorial.md"], flags=re.DOTALL)[0]


def test_the_study_of_the_tutorial_is_one(tmp_path):
    path = tmp_path / "latent.yaml"
    path.write_text(study_of_the_tutorial())
    study = read_study(path)
    assert study.title == "Latent size"
    assert study.record[0] == "val/fid"
    assert study.as_dict()["grid"] == {"model.latent_dim": [2, 8, 32]}


def exit_status(words):
    try:
        cli.main(words)
    except SystemExit as stopped:
        return stopped.code
    return 0


@pytest.mark.full
def test_the_commands_of_the_tutorial_run(in_tmp_path, monkeypatch):
    """All of them, in their order, with fewer batches; `make` and the activation of the environment left out."""
    (in_tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_tmp_path / "cache"))
    small = yaml.safe_load(study_of_the_tutorial())
    small["overrides"] |= {"trainer.max_epochs": 1, "trainer.limit_train_batches": 2, "quality.num_samples_in_fit": 50}
    small["overrides"] |= {"trainer.log_every_n_steps": 1, "trainer.check_val_every_n_epoch": 1, "samples.grid": 2}
    Path("latent.yaml").write_text(yaml.safe_dump(small))
    for page, words in COMMANDS:
        if page != "docs/tutorial.md" or words[:2] == ["study", "configs/studies/report5/width.yaml"]:
            continue
        short = few_batches(words[2], "") if words[0] == "fit" else []
        assert exit_status([*words, *short]) == 0, shlex.join(words)
    assert Path("runs/studies/latent/report.html").is_file()
    assert Path("digits.png").is_file()
    assert Path("strip.png").is_file()
