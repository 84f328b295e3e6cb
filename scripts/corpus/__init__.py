"""The sample-document builder: one module per output format over one block model."""
