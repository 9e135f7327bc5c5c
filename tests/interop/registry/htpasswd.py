"""A line of a file of passwords, hashed with bcrypt as registries want it:  htpasswd.py USER:PASSWORD"""

import sys

import bcrypt

user, password = sys.argv[1].split(":", 1)
print(user + ":" + bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode())
