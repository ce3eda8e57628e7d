// Imported before the user's code, so that it meets the light Request and Response.

import { install as installRequest } from './request.mjs'
import { install as installResponse } from './response.mjs'

installRequest()
installResponse()
