"""DICOM messages over the network (PS3.7, PS3.8): the receiver, the sender, and their statuses."""
