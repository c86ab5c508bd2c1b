"""Published results and the leaderboard made from them."""
