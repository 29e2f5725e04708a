import argparse

from examples.field_steps import main

parser = argparse.ArgumentParser(prog="field_steps")
parser.add_argument("--magnets", type=int, default=100, help="number of magnets")
parser.add_argument("--out", default="field_steps.png", help="file of the figure")
main(**vars(parser.parse_args()))
