"""The ledger's schema, revision by revision; `dicom_node.ledger.opening` runs them."""
