-- No row until the switch is first used.
select declined from decline_switch
