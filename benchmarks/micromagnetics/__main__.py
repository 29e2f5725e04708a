"""Computes switching fields by micromagnetics, and keeps them in `benchmarks/micromagnetics/data`.

Run it with `python -m benchmarks.micromagnetics run FAMILY`. Cases that the file has already are
not computed again, so a run can be cut off and continued.
"""

import argparse

from benchmarks import records
from benchmarks.micromagnetics import coupled, trust
from benchmarks.micromagnetics.agreement import compare as compare_method
from benchmarks.micromagnetics.cases import FAMILIES, run
from benchmarks.micromagnetics.figures import draw
from benchmarks.micromagnetics.fit import fit
from benchmarks.micromagnetics.public import compare
from benchmarks.micromagnetics.speed import compare as compare_speed
from benchmarks.micromagnetics.speed import figures_of


def main(argv=None) -> None:
    """Compute switching fields by micromagnetics."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.micromagnetics", description=main.__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="compute what a family's file does not have yet")
    runs.add_argument("family", nargs="+", choices=FAMILIES)
    runs.add_argument("--count", type=int, help="only the first so many cases of each")
    runs.add_argument("--seed", type=int, default=0, help="for those that are drawn")
    runs.add_argument("--verbose", action="store_true", help="print each field")
    method = commands.add_parser(
        "compare", help="compare the method of this package with the files"
    )
    method.add_argument("family", nargs="+", choices=FAMILIES)
    orders = ("weakest_first", "simultaneous")
    method.add_argument("--avalanche", choices=orders, default=orders[0], help="order of flips")
    fits = commands.add_parser(
        "fit",
        help="fit the calibrated depth to half of the materials, and judge it by the others; "
        "likewise the numbers of exchange across boundaries to half of the textures",
    )
    fits.add_argument("family", nargs="+", choices=FAMILIES)
    trusted = commands.add_parser(
        "trust", help="errors of coercivities, as `Hysteresis.trust` knows them"
    )
    public = commands.add_parser("public", help="compare with public simulations of cubes")
    public.add_argument("file", help="cube50nm_angles_mindriver.csv of the MaMMoS project")
    public.add_argument("--count", type=int, default=8, help="how many cubes")
    times = commands.add_parser("speed", help="time curves in the solver beside loops here")
    times.add_argument("--rounds", type=int, default=5, help="timed rounds")
    times.add_argument("--whole", action="store_true", help="the curve of 64 grains, too (an hour)")
    figures = commands.add_parser("figures", help="draw the agreement with the files")
    figures.add_argument("folder", help="to write PNG files to")
    for command in (method, trusted, times):
        records.add_argument(command)
    arguments = parser.parse_args(argv)
    saved = {}
    match arguments.command:
        case "run":
            for family in arguments.family:
                run(family, arguments.count, arguments.seed, arguments.verbose)
        case "compare":
            saved["compare"] = compare_method(arguments.family, arguments.avalanche)
            saved["coupled"] = coupled.compare(arguments.family)
        case "fit":
            fit(arguments.family)
            coupled.fit(arguments.family)
        case "trust":
            saved["trust"] = trust.show()
        case "public":
            compare(arguments.file, arguments.count)
        case "speed":
            saved["speed"] = figures_of(compare_speed(arguments.rounds, arguments.whole))
        case "figures":
            print("\n".join(draw(arguments.folder)))
    for name, figures in saved.items():
        if figures and arguments.save:
            records.save(f"micromagnetics_{name}", figures, parser, argv)


if __name__ == "__main__":
    main()
