import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Buckets in seconds, from a fast local commit to a statement timeout. */
const latency = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** What an operator sees at /metrics, in one place. Times are seconds. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  // its event loop lag and heap figures are among what we promise
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    operations: new Histogram({
      name: 'kintsugi_operation_seconds',
      help: 'Time of an operation, by name and outcome (ok or the error code)',
      labelNames: ['operation', 'outcome'] as const,
      buckets: latency,
      registers,
    }),
    sockets: new Gauge({ name: 'kintsugi_sockets', help: 'Sockets connected to this node', registers }),
    evictions: new Counter({
      name: 'kintsugi_socket_evictions_total',
      help: 'Sockets closed because they did not read what was sent to them',
      registers,
    }),
    messages: new Counter({ name: 'kintsugi_messages_stored_total', help: 'Messages stored by this node', registers }),
    batchSize: new Histogram({
      name: 'kintsugi_batch_messages',
      help: 'Messages in one commit',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
      registers,
    }),
    commit: new Histogram({
      name: 'kintsugi_commit_seconds',
      help: 'Time from handing a batch of messages to the database to its commit',
      buckets: latency,
      registers,
    }),
    answers: new Counter({
      name: 'kintsugi_answers_total',
      help: 'Answers of models that this node has written, by how they ended (a status or the error code)',
      labelNames: ['outcome'] as const,
      registers,
    }),
    streams: new Gauge({ name: 'kintsugi_streams', help: 'Messages that grow on this node now', registers }),
    uploads: new Counter({
      name: 'kintsugi_uploads_total',
      help: 'Uploads that this node has looked at, by kind (unknown: refused before that) and outcome (ok or the error code)',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    uploadBytes: new Counter({
      name: 'kintsugi_upload_bytes_total',
      help: 'Bytes of the uploads that this node has stored, without thumbnails',
      registers,
    }),
    fanout: new Counter({
      name: 'kintsugi_fanout_events_total',
      help: 'Events handed to the sockets of this node, by where they came from',
      labelNames: ['origin'] as const,
      registers,
    }),
    resyncs: new Counter({
      name: 'kintsugi_resyncs_total',
      help: 'Times that sockets were told to sync because events may have been missed, by cause',
      labelNames: ['cause'] as const,
      registers,
    }),
    linkUp: new Gauge({
      name: 'kintsugi_link_up',
      help: 'Whether the link to the other nodes works (1) or not (0)',
      registers,
    }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
