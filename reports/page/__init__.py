"""The page that is looked at in a browser: `index.html`, with its data and pictures in the folder `page/` beside it."""
