"""The PCOMM server on Dareplane's DefaultServer, log forwarding and callbacks."""
