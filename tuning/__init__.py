"""The searches: which recipe predicts the loops of magnets never seen best, found by KerasTuner.

`spaces`: what is searched. `scores`: what a recipe is judged by. `hypermodels`: both, as
KerasTuner takes them, for your own loops too. `search`: a search within a budget, which goes on
where it was killed. `study`: the whole of `python -m tuning`, from the data set to the report.
"""
