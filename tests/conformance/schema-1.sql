-- What the first version had: its tables, a container and its image.
CREATE TABLE migrations(module TEXT PRIMARY KEY, version INTEGER);
INSERT INTO migrations VALUES('engine', 1), ('store', 1);
CREATE TABLE containers( id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image_id TEXT NOT NULL, spec TEXT NOT NULL, created_at INTEGER NOT NULL, removing INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL, pid INTEGER NOT NULL, exit_code INTEGER NOT NULL, oom_killed INTEGER NOT NULL, error TEXT NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, restart_count INTEGER NOT NULL, starting_at INTEGER NOT NULL, stopped_by_user INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE endpoints( id TEXT PRIMARY KEY, container_id TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX endpoints_by_container ON endpoints(container_id);
CREATE TABLE networks(id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE execs( id TEXT PRIMARY KEY, container_id TEXT NOT NULL, body TEXT NOT NULL, started INTEGER NOT NULL, exit_code INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX execs_by_container ON execs(container_id);
CREATE TABLE layers( id INTEGER PRIMARY KEY, chain_id TEXT NOT NULL UNIQUE, diff_id TEXT NOT NULL, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, blob_digest TEXT, blob_size INTEGER);
CREATE INDEX layers_diff ON layers(diff_id);
CREATE INDEX layers_blob ON layers(blob_digest);
CREATE TABLE images( id TEXT PRIMARY KEY, parent TEXT, created_ns INTEGER NOT NULL, tagged_ns INTEGER NOT NULL, config BLOB NOT NULL);
CREATE TABLE image_layers( image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES layers(id), PRIMARY KEY(image, position)) WITHOUT ROWID;
CREATE INDEX image_layers_layer ON image_layers(layer);
CREATE TABLE image_names( name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE);
CREATE INDEX image_names_image ON image_names(image);
CREATE TABLE snapshots( container TEXT PRIMARY KEY, image TEXT NOT NULL, created_ns INTEGER NOT NULL);
CREATE INDEX snapshots_image ON snapshots(image);
CREATE TABLE snapshot_layers( container TEXT NOT NULL REFERENCES snapshots(container) ON DELETE CASCADE, position INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES layers(id), PRIMARY KEY(container, position)) WITHOUT ROWID;
CREATE INDEX snapshot_layers_layer ON snapshot_layers(layer);
CREATE TABLE layer_pins(owner INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES layers(id), PRIMARY KEY(layer, owner)) WITHOUT ROWID;
CREATE TABLE tombstones(path TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO images VALUES('sha256:4acd8ed546f98975efab2cd3f0eab87f5fd7d5a72f004bc9e7052ba0544c9b94', NULL, 0, 0, '{"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": []}}');
INSERT INTO image_names VALUES('docker.io/library/old:1', 'sha256:4acd8ed546f98975efab2cd3f0eab87f5fd7d5a72f004bc9e7052ba0544c9b94');
INSERT INTO snapshots VALUES('abababababababababababababababababababababababababababababababab', 'sha256:4acd8ed546f98975efab2cd3f0eab87f5fd7d5a72f004bc9e7052ba0544c9b94', 0);
INSERT INTO containers VALUES('abababababababababababababababababababababababababababababababab', 'old', 'sha256:4acd8ed546f98975efab2cd3f0eab87f5fd7d5a72f004bc9e7052ba0544c9b94', '{"Image": "old:1", "Cmd": ["sh"], "Hostname": "abababababab", "HostConfig": {"NetworkMode": "none"}}',
 1700000000000000000, 0, 'exited', 0, 3, 0, '', 1700000001000000000, 1700000002000000000, 0, 0, 0);
