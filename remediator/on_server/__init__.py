"""What is asked and run on a server: Docker's command, the forced command around it, the evidence."""
