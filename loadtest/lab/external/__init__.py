"""No lab: two servers that already run somewhere. Imports services and the load process of the local lab."""
