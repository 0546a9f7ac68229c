"""What Fruits! is made of, for who has to answer for it: known vulnerabilities, licences, the bill of materials."""
