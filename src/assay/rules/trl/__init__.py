"""What a rehearsal saw: stops, training that does not train, tracking and files that are not what the contract asks for."""
