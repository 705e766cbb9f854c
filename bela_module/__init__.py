"""Publishes the variables of a Bela board to the Lab Streaming Layer."""
