import './find.css'
import './invite.css'
import { AppWindow } from 'lucide'
import { useId, useMemo } from 'preact/hooks'
import { encode } from 'uqr'
import { t } from '../i18n.ts'
import { me } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { CopyButton } from '../ui/copy.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { codePath, inviteLink } from './invite.ts'

/** The own invitation: as an address, as a code, and for oneself to try the page as two people. */
export function InviteDialog({ onClose }: { onClose(): void }) {
  const link = inviteLink(location.origin, me.value?.username ?? '')
  return (
    <Dialog title={t('conversations:inviteTitle')} onClose={onClose}>
      <p>{t('conversations:inviteText')}</p>
      <Invitation link={link} />
    </Dialog>
  )
}

/** What is given to others, and the button for a second window. */
export function Invitation({ link }: { link: string }) {
  const id = useId()
  // without the opener's storage: the window is to begin with nobody signed in
  const openSecond = () => void window.open(`${link}?as=guest`, '_blank', 'noopener')
  return (
    <div class="conv-invitation">
      <div class="conv-link-line">
        <div class="field">
          <label for={id}>{t('conversations:inviteLink')}</label>
          <input id={id} readOnly dir="ltr" value={link} onFocus={(event) => event.currentTarget.select()} />
        </div>
        <CopyButton text={link} isWorded />
      </div>
      <Code text={link} />
      <Button kind="primary" icon={AppWindow} onPress={openSecond}>
        {t('conversations:inviteSecond')}
      </Button>
      <p class="quiet">{t('conversations:inviteSecondHint')}</p>
    </div>
  )
}

/** A text to be scanned. Dark on light in both themes: many readers want it so. */
function Code({ text }: { text: string }) {
  const { size, path } = useMemo(() => {
    const { data, size } = encode(text, { ecc: 'M', border: 2 })
    return { size, path: codePath(data) }
  }, [text])
  return (
    <svg class="conv-code" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={t('conversations:inviteCode')}>
      <path d={path} />
    </svg>
  )
}
