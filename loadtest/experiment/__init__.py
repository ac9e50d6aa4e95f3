"""From text to objects: the experiment file and its gates. May import stats and errors."""
