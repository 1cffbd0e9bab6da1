"""awaitd config.asgi:application --app-dir examples/django_site"""

import os

import awaitd
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from .warm import warm_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# The handler serves /static/ straight from the installed apps, so that nothing has to be collected or configured first.
application = ASGIStaticFilesHandler(get_asgi_application())
awaitd.before_fork(warm_up)
