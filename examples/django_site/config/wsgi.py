"""awaitd config.wsgi:application --app-dir examples/django_site"""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# The handler serves /static/ straight from the installed apps, so that nothing has to be collected or configured first.
application = StaticFilesHandler(get_wsgi_application())
