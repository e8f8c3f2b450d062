BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL,
	study_name VARCHAR(512) NOT NULL,
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'another');
INSERT INTO "studies" VALUES(2,'moving averages');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL,
	direction VARCHAR(8) NOT NULL,
	study_id INTEGER NOT NULL,
	objective INTEGER NOT NULL,
	PRIMARY KEY (study_direction_id),
	UNIQUE (study_id, objective),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MAXIMIZE',2,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL,
	study_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (study_system_attribute_id),
	UNIQUE (study_id, "key"),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL,
	study_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (study_user_attribute_id),
	UNIQUE (study_id, "key"),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	heartbeat DATETIME NOT NULL,
	PRIMARY KEY (trial_heartbeat_id),
	UNIQUE (trial_id),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	step INTEGER NOT NULL,
	intermediate_value FLOAT,
	intermediate_value_type VARCHAR(7) NOT NULL,
	PRIMARY KEY (trial_intermediate_value_id),
	UNIQUE (trial_id, step),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL,
	trial_id INTEGER,
	param_name VARCHAR(512),
	param_value FLOAT,
	distribution_json TEXT,
	PRIMARY KEY (param_id),
	UNIQUE (trial_id, param_name),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'fast',19.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(2,2,'fast',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(3,3,'fast',10.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(4,4,'fast',18.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(5,5,'fast',30.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(6,6,'fast',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(7,7,'fast',13.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(8,8,'fast',7.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(9,9,'fast',5.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(10,10,'fast',9.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(11,11,'fast',15.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(12,12,'fast',17.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(13,13,'fast',23.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
INSERT INTO "trial_params" VALUES(14,14,'fast',18.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 40}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL,
	trial_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (trial_system_attribute_id),
	UNIQUE (trial_id, "key"),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,3,'fixed_params','{"fast": 10}');
INSERT INTO "trial_system_attributes" VALUES(2,15,'fixed_params','{"fast": 12}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL,
	trial_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (trial_user_attribute_id),
	UNIQUE (trial_id, "key"),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'sharpe','1.45');
INSERT INTO "trial_user_attributes" VALUES(2,2,'sharpe','0.65');
INSERT INTO "trial_user_attributes" VALUES(3,3,'sharpe','1.0');
INSERT INTO "trial_user_attributes" VALUES(4,4,'sharpe','1.4');
INSERT INTO "trial_user_attributes" VALUES(5,5,'sharpe','1.0');
INSERT INTO "trial_user_attributes" VALUES(6,6,'sharpe','0.6');
INSERT INTO "trial_user_attributes" VALUES(7,7,'sharpe','1.15');
INSERT INTO "trial_user_attributes" VALUES(8,9,'sharpe','0.75');
INSERT INTO "trial_user_attributes" VALUES(9,10,'sharpe','0.95');
INSERT INTO "trial_user_attributes" VALUES(10,11,'sharpe','1.25');
INSERT INTO "trial_user_attributes" VALUES(11,12,'sharpe','1.35');
INSERT INTO "trial_user_attributes" VALUES(12,13,'sharpe','1.35');
INSERT INTO "trial_user_attributes" VALUES(13,14,'sharpe','1.4');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	objective INTEGER NOT NULL,
	value FLOAT,
	value_type VARCHAR(7) NOT NULL,
	PRIMARY KEY (trial_value_id),
	UNIQUE (trial_id, objective),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,1.45,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,0.65,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,1.0,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,1.4,'FINITE');
INSERT INTO "trial_values" VALUES(5,5,0,1.0,'FINITE');
INSERT INTO "trial_values" VALUES(6,6,0,0.6,'FINITE');
INSERT INTO "trial_values" VALUES(7,7,0,1.15,'FINITE');
INSERT INTO "trial_values" VALUES(8,9,0,0.75,'FINITE');
INSERT INTO "trial_values" VALUES(9,10,0,0.95,'FINITE');
INSERT INTO "trial_values" VALUES(10,11,0,1.25,'FINITE');
INSERT INTO "trial_values" VALUES(11,12,0,1.35,'FINITE');
INSERT INTO "trial_values" VALUES(12,13,0,1.35,'FINITE');
INSERT INTO "trial_values" VALUES(13,14,0,1.4,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL,
	number INTEGER,
	study_id INTEGER,
	state VARCHAR(8) NOT NULL,
	datetime_start DATETIME,
	datetime_complete DATETIME,
	PRIMARY KEY (trial_id),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-28 16:13:34.516855','2026-11-28 16:13:34.634588');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-28 16:13:34.674412','2026-11-28 16:13:34.708988');
INSERT INTO "trials" VALUES(3,0,2,'COMPLETE','2026-11-28 16:13:34.767372','2026-11-28 16:13:34.794999');
INSERT INTO "trials" VALUES(4,1,2,'COMPLETE','2026-11-28 16:13:34.813797','2026-11-28 16:13:34.842018');
INSERT INTO "trials" VALUES(5,2,2,'COMPLETE','2026-11-28 16:13:34.861257','2026-11-28 16:13:34.896002');
INSERT INTO "trials" VALUES(6,3,2,'COMPLETE','2026-11-28 16:13:34.913617','2026-11-28 16:13:34.945357');
INSERT INTO "trials" VALUES(7,4,2,'COMPLETE','2026-11-28 16:13:34.957787','2026-11-28 16:13:34.997298');
INSERT INTO "trials" VALUES(8,5,2,'FAIL','2026-11-28 16:13:35.062167','2026-11-28 16:13:35.113611');
INSERT INTO "trials" VALUES(9,6,2,'COMPLETE','2026-11-28 16:13:35.188262','2026-11-28 16:13:35.282863');
INSERT INTO "trials" VALUES(10,7,2,'COMPLETE','2026-11-28 16:13:35.312826','2026-11-28 16:13:35.421129');
INSERT INTO "trials" VALUES(11,8,2,'COMPLETE','2026-11-28 16:13:35.515113','2026-11-28 16:13:35.663308');
INSERT INTO "trials" VALUES(12,9,2,'COMPLETE','2026-11-28 16:13:35.722076','2026-11-28 16:13:35.819423');
INSERT INTO "trials" VALUES(13,10,2,'COMPLETE','2026-11-28 16:13:35.836886','2026-11-28 16:13:35.913927');
INSERT INTO "trials" VALUES(14,11,2,'COMPLETE','2026-11-28 16:13:35.929079','2026-11-28 16:13:35.984330');
INSERT INTO "trials" VALUES(15,12,2,'WAITING',NULL,NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL,
	schema_version INTEGER,
	library_version VARCHAR(256),
	PRIMARY KEY (version_info_id),
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
