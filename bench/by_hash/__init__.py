"""The benchmark of downloads by the hash of an owner beside requests by its plain id."""
