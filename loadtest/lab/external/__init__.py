"""No lab: two servers that already run. May import the lab's processes, services and interface."""
