"use strict";

// The viewer asks this server alone: no validator badge, no settings from the address bar, no token kept.
window.SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  persistAuthorization: false,
  queryConfigEnabled: false,
  showMutatedRequest: false,
  validatorUrl: null,
});
