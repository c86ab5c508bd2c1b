"""Tables, figures, galleries and the leaderboard, made from runs."""
