import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Route } from '../kernel/operation.ts'
import type {
  Attachments,
  AttachmentUse,
  ExportSection,
  FileInspector,
  ImageMaker,
  Jobs,
  MediaKind,
  MediaUrls,
  ObjectStore,
} from '../kernel/ports.ts'
import { createAttachments } from './attachments.service.ts'
import { createDownloads } from './downloads.service.ts'
import { mediaRoutes } from './media.routes.ts'
import { createObjects } from './objects.service.ts'
import { mediaSection } from './own-data.ts'
import { createRemoval } from './removal.service.ts'
import { createUploads } from './uploads.service.ts'
import { createUrls } from './urls.ts'

export { type AttachmentFacts, presentAttachment } from './attachment.presenter.ts'

export interface MediaDependencies {
  database: Database
  config: {
    /** The most bytes of one file, by kind. */
    maxBytes: Record<MediaKind, number>
    quotaBytes: number
    urlSeconds: number
    publicUrl: string | undefined
    /** What the key of signatures is made from. */
    secret: string
    /** A folder for files that are being looked at. */
    scratch: string
  }
  store: ObjectStore
  inspector: FileInspector
  images: ImageMaker
  events: DomainEvents
  jobs: Jobs
  metrics: Metrics
  log: Logger
  clock: Clock
}

export interface Media {
  routes: Route[]
  attachments: Attachments
  urls: MediaUrls
  exportSection: ExportSection
}

/** Builds uploads, attachments and their addresses. Store and inspector are closed by whoever made them. */
export function createMedia(deps: MediaDependencies): Media {
  const { database, config, store } = deps
  const uses: AttachmentUse[] = []
  const urls = createUrls(deps)
  const objects = createObjects(deps)
  const removal = createRemoval({ ...deps, objects, uses })
  const attachments = createAttachments({ database, urls, removal, uses })
  return {
    routes: mediaRoutes({
      uploads: createUploads({ ...deps, objects, removal, urls }),
      attachments,
      downloads: createDownloads({ database, urls, store }),
      maxBytes: Math.max(...Object.values(config.maxBytes)),
    }),
    attachments: attachments.face,
    urls,
    exportSection: mediaSection(database, store),
  }
}
