import { ImagePlus, X } from 'lucide'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { explain, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button, IconButton } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Form } from '../ui/field.tsx'
import { Icon } from '../ui/icon.tsx'
import { Problem } from '../ui/problem.tsx'
import { tell } from './stories.ts'

const maxCaptionLength = 1000

/** Tells a story: an image or a video, words, or both. */
export function NewStoryDialog({ onClose }: { onClose(): void }) {
  const [file, setFile] = useState<File>()
  const [caption, setCaption] = useState('')
  const [progress, setProgress] = useState<number>()
  const [problem, setProblem] = useState<string>()
  const sending = useRef<AbortController>(undefined)
  const captionId = useId()
  useEffect(() => () => sending.current?.abort(), [])
  const words = caption.trim()
  const isBusy = progress !== undefined

  async function share(): Promise<void> {
    if (isBusy || (!file && !words)) return
    const ending = new AbortController()
    sending.current = ending
    setProblem(undefined)
    setProgress(0)
    try {
      const attachment = file && (await client.upload(file, { signal: ending.signal, onProgress: follow }))
      await tell({ ...(attachment && { attachmentId: attachment.id }), ...(words && { caption: words }) })
      say(t('stories:told'))
      onClose()
    } catch (error) {
      if (ending.signal.aborted) return
      setProblem(explain(error))
      setProgress(undefined)
    }
  }

  const follow = (sent: number, total: number): void => setProgress(total > 0 ? sent / total : 1)

  return (
    <Dialog title={t('stories:tell')} onClose={onClose}>
      <Form onSend={share}>
        {file ? (
          <Preview file={file} onRemove={isBusy ? undefined : () => setFile(undefined)} />
        ) : (
          <label class="stories-drop">
            <Icon of={ImagePlus} size={28} />
            {t('stories:choose')}
            <input
              type="file"
              class="unseen"
              accept="image/*,video/*"
              onChange={(event) => setFile(event.currentTarget.files?.[0])}
            />
          </label>
        )}
        <div class="field">
          <label for={captionId}>{t('stories:words')}</label>
          <textarea
            id={captionId}
            rows={3}
            dir="auto"
            maxLength={maxCaptionLength}
            value={caption}
            disabled={isBusy}
            onInput={(event) => setCaption(event.currentTarget.value)}
          />
        </div>
        {isBusy && file && <progress class="stories-progress" aria-label={t('stories:sending')} value={progress} />}
        <Problem text={problem} />
        <p class="field-hint">{t('stories:hint')}</p>
        <div class="actions">
          <Button onPress={onClose}>{t('common:cancel')}</Button>
          <Button kind="primary" type="submit" disabled={isBusy || (!file && !words)}>
            {t('stories:share')}
          </Button>
        </div>
      </Form>
    </Dialog>
  )
}

function Preview({ file, onRemove }: { file: File; onRemove: (() => void) | undefined }) {
  const [url, setUrl] = useState<string>()
  useEffect(() => {
    const made = URL.createObjectURL(file)
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [file])
  return (
    <div class="stories-preview">
      {/* biome-ignore lint/a11y/useMediaCaption: nobody has written any for it */}
      {file.type.startsWith('video/') ? <video src={url} controls playsInline /> : <img src={url} alt={file.name} />}
      {onRemove && <IconButton icon={X} label={t('stories:without')} onPress={onRemove} />}
    </div>
  )
}
