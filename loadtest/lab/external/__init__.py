"""No lab: two servers that already run. May import the lab's services and the local load process."""
