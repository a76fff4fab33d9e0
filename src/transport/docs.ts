import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Response, Router } from 'express'
import type { Json } from './schemas.ts'

/** Where the installed Swagger UI has its files; only those that the page loads are served. */
const swaggerFolder = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))
const assets = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Kintsugi API</title>
    <link rel="icon" href="/docs/favicon-32x32.png">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`

/** A file and no inline script, so that the page needs no exception from the content security policy. */
const start = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null })\n`

/** Everything from this server; Swagger UI sets styles on elements and has its icons in data URLs. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Serves the API documents: `/openapi.json`, `/asyncapi.json`, and at `/docs` a page to read and try the first one. */
export function createDocs({ openApi, asyncApi }: { openApi: Json; asyncApi: Json }): Router {
  const router = Router()
  const documents = { '/openapi.json': openApi, '/asyncapi.json': asyncApi }
  for (const [path, document] of Object.entries(documents)) {
    const body = JSON.stringify(document)
    router.get(path, (_request, response) => send(response, 'application/json', body))
  }
  router.get('/docs', (_request, response) => {
    response.set('Content-Security-Policy', contentSecurityPolicy)
    send(response, 'text/html', page)
  })
  router.get('/docs/start.js', (_request, response) => send(response, 'text/javascript', start))
  for (const asset of assets) {
    router.get(`/docs/${asset}`, (_request, response) =>
      response.sendFile(asset, { root: swaggerFolder, maxAge: '1h', dotfiles: 'allow' }),
    )
  }
  return router
}

/** `no-cache` asks the browser to compare ETags, so that a new release shows at once. */
function send(response: Response, type: string, body: string): void {
  response.set('Cache-Control', 'no-cache').type(type).send(body)
}
