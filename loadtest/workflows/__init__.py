"""What a person does with a lab, one file a verb."""
