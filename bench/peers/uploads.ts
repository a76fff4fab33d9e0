/**
 * The smallest server that takes files: Express and multer, which write each to the disk as it came; nobody is asked who
 * they are, nothing is looked into, nothing is noted. It stands for the limit of HTTP and the disk. Started by the bench
 * with PORT and DATA_DIR in its environment; any other request but for its metrics is answered 200, as a sign of life.
 */
import express from 'express'
import multer from 'multer'
import { collectDefaultMetrics, Registry } from 'prom-client'

const registry = new Registry()
collectDefaultMetrics({ register: registry })
const files = multer({ dest: process.env.DATA_DIR })
const app = express()
app.post('/v1/uploads', files.single('file'), (_request, response) => void response.status(201).json({}))
app.get('/metrics', async (_request, response) => void response.send(await registry.metrics()))
app.use((_request, response) => void response.end())
app.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
