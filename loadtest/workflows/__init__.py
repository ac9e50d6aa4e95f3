"""What a user does, one file per verb; joins lab, judge and report. May import all but cli and load."""
