"""The services of the lab. They share nothing with the load side but wire contracts and files."""
