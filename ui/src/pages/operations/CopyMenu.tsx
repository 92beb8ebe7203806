import { Button, Menu } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconCopy } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { JsonObject, OperationMeta } from '../../api/types';
import { asCommand, asCurl } from './commands';

/** The same call for a terminal. */
export function CopyMenu({ operation, input }: { operation: OperationMeta; input: JsonObject }) {
  const { t } = useTranslation();
  const clipboard = useClipboard();
  const copy = (text: string) => {
    clipboard.copy(text);
    notifications.show({ message: t('common.copied') });
  };
  return (
    <Menu position="top-start">
      <Menu.Target>
        <Button variant="default" leftSection={<IconCopy size={15} aria-hidden />}>
          {t('operation.copy')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => copy(asCurl(location.origin, operation, input))}>{t('operation.curl')}</Menu.Item>
        <Menu.Item onClick={() => copy(asCommand(operation, input))}>{t('operation.cli')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
