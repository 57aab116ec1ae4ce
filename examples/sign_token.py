import os
import sys

from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

identity = sys.argv[1]
token = AccessToken(os.environ["ACCOUNT_SID"], os.environ["API_KEY"], os.environ["API_SECRET"], identity=identity)
token.add_grant(ChatGrant(service_sid=os.environ["SERVICE_SID"]))
print(token.to_jwt())
