"""Searches with KerasTuner for the recipe that best predicts the loops of unseen magnets.

- `spaces`: the hyperparameters and their values;
- `scores`: the score of a trained model;
- `hypermodels`: KerasTuner's HyperModels with both, also for your own loops;
- `search`: a search within a budget, which continues after it was killed;
- `study`: what `python -m tuning` runs, from the data set to the report.
"""
