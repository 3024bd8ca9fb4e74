"use strict";
// Every operation is tagged with its audience and its subject. The page shows each in one place: internal ones together.
const place = (operation) =>
  operation.tags.includes("internal") ? ["internal"] : operation.tags.filter((tag) => tag !== "public");
const show = (spec) => {
  for (const path of Object.values(spec.paths))
    for (const operation of Object.values(path))
      if (operation.tags) operation.tags = place(operation);
  spec.tags = spec.tags.filter((tag) => tag.name !== "public");
  SwaggerUIBundle({
    spec, dom_id: "#page", deepLinking: true, validatorUrl: null, docExpansion: "list",
    defaultModelRendering: "example", defaultModelsExpandDepth: -1, requestSnippetsEnabled: false,
  });
};
fetch("openapi.json").then((answer) => answer.json()).then(show);
