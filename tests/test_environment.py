"""tools/environment.py, with an installation that is quick and can be told from others."""

import os
from pathlib import Path

import pytest

from tools import environment

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[1]


class Project:
    """A project to be installed into `.venv`; counts how often that was made and installed into."""

    def __init__(self, root):
        self.root = root
        self.folder = root / ".venv"
        self.made = self.installs = 0
        for name in environment.DECLARED:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes((ROOT / name).read_bytes())

    @property
    def site(self):
        return next(self.folder.glob("lib/python*/site-packages"))

    def ensure(self, *extras):
        environment.ensure(self.folder, set(extras), self.root)


@pytest.fixture
def project(tmp_path, monkeypatch):
    project = Project(tmp_path / "project")

    def install(folder, root, extras):
        project.installs += 1
        (project.site / "thing.py").write_text("x = 1\n")
        (project.site / "thing-1.0.dist-info").mkdir(exist_ok=True)
        record = project.site / "thing-1.0.dist-info" / "RECORD"
        record.write_text("thing.py,sha256=,6\n__pycache__/thing.pyc,,\n")

    def create(folder):
        project.made += 1
        really_create(folder)

    def run(*command):
        if "venv" in command:
            really_run(*command[:3], "--without-pip", *command[3:])  # a tenth of a second

    really_create, really_run = environment.create, environment.run
    for function in (install, create, run):
        monkeypatch.setattr(environment, function.__name__, function)
    return project


def test_whole_one_is_left_alone(project):
    for extras in (["dev"], ["dev"], ["tensorflow", "plot"], ["jax", "test"]):
        project.ensure(*extras)
    assert (project.made, project.installs) == (1, 1)


def test_missing_extra_is_added_in_place(project):
    project.ensure("tensorflow", "plot")
    project.ensure("dev")
    project.ensure("plot")
    assert (project.made, project.installs) == (1, 2)


@pytest.mark.parametrize("name", environment.DECLARED)
def test_changed_settings_are_installed_in_place(name, project):
    project.ensure("dev")
    with (project.root / name).open("a") as file:
        file.write("# changed\n")
    project.ensure("plot")
    project.ensure("dev")
    assert (project.made, project.installs) == (1, 2)


def test_upgrade_by_hand_is_no_damage(project):
    project.ensure("dev")
    (project.site / "thing-1.0.dist-info").rename(project.site / "thing-1.1.dist-info")
    project.ensure("dev")
    assert (project.made, project.installs) == (1, 1)


def lose_python(project):
    for python in project.folder.glob("bin/python*"):
        python.unlink()


def break_python(project):
    lose_python(project)
    (project.folder / "bin/python").write_text("not a program")
    (project.folder / "bin/python").chmod(0o755)


def other_python(project):
    stamp = project.folder / environment.STAMP
    stamp.write_text(stamp.read_text().replace('"python": "3.', '"python": "2.'))


def copied_from_elsewhere(project):
    stamp = project.folder / environment.STAMP
    stamp.write_text(stamp.read_text().replace(str(project.root), "/elsewhere"))


def become_a_file(project):
    project.folder.rename(project.folder.with_name("gone"))
    project.folder.write_text("")


def become_a_dangling_link(project):
    project.folder.rename(project.folder.with_name("gone"))
    project.folder.symlink_to("nowhere")


def lose_the_stamp(project):
    (project.folder / environment.STAMP).unlink()


def cut_the_stamp(project):
    os.truncate(project.folder / environment.STAMP, 40)


def lose_a_file(project):
    (project.site / "thing.py").unlink()


def cut_a_file(project):
    os.truncate(project.site / "thing.py", 3)


def lose_a_distribution(project):
    (project.site / "thing-1.0.dist-info").rename(project.site / "gone")


@pytest.mark.parametrize(
    "harm",
    [
        *[lose_python, break_python, other_python, copied_from_elsewhere],
        *[become_a_file, become_a_dangling_link, lose_the_stamp, cut_the_stamp],
        *[lose_a_file, cut_a_file, lose_a_distribution],
    ],
    ids=lambda harm: harm.__name__,
)
def test_broken_one_is_made_anew(harm, project):
    project.ensure("dev")
    harm(project)
    project.ensure("dev")
    assert (project.made, project.installs) == (2, 2)
    assert (project.site / "thing.py").read_text() == "x = 1\n"
    project.ensure("dev")
    assert (project.made, project.installs) == (2, 2)


@pytest.mark.parametrize("before", [[], ["plot"]], ids=["first", "growing"])
def test_interrupted_installation_is_made_anew(before, project, monkeypatch):
    def interrupted(folder, root, extras):
        (project.site / "half.py").write_text("")
        raise KeyboardInterrupt

    if before:
        project.ensure(*before)
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(environment, "install", interrupted)
        project.ensure("dev")
    made = project.made
    project.ensure("dev")
    assert project.made == made + 1
    assert not (project.site / "half.py").exists()
