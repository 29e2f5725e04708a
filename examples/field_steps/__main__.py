import argparse

from examples.field_steps import main

parser = argparse.ArgumentParser(prog="field_steps")
parser.add_argument("--magnets", type=int, default=100, help="how many")
parser.add_argument("--out", default="field_steps.png", help="the figure's file")
main(**vars(parser.parse_args()))
